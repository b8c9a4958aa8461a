// Two programs side by side, like `diff -y`: the lines that both have stand next to each other.

// Pairs [left, right] of line numbers; null is a line that the other side does not have. Lines are
// alike if they are but for their indentation. The longest common subsequence, by its table; a line
// with words counts more than braces and blank ones, which are alike everywhere.
function aligned(left, right) {
  const a = left.map((line) => line.trim()), b = right.map((line) => line.trim());
  const weight = (line) => (/\w/.test(line) ? 8 : 1);
  const length = Array.from({ length: a.length + 1 }, () => new Uint32Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; --i)
    for (let j = b.length - 1; j >= 0; --j)
      length[i][j] = a[i] === b[j] ? length[i + 1][j + 1] + weight(a[i])
                                   : Math.max(length[i + 1][j], length[i][j + 1]);
  const pairs = [];
  let i = 0, j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) pairs.push([i++, j++]);
    else if (j === b.length || (i < a.length && length[i + 1][j] >= length[i][j + 1]))
      pairs.push([i++, null]);
    else pairs.push([null, j++]);
  }
  return pairs;
}

// The same, with what only one side has next to what only the other has, and not below it.
function sideBySide(left, right) {
  const rows = [];
  let only = [[], []];
  const flush = () => {
    for (let i = 0; i < Math.max(only[0].length, only[1].length); ++i)
      rows.push({ left: only[0][i] ?? null, right: only[1][i] ?? null, same: false });
    only = [[], []];
  };
  for (const [i, j] of aligned(left, right)) {
    if (i !== null && j !== null) {
      flush();
      rows.push({ left: i, right: j, same: true });
    } else if (i !== null) only[0].push(i);
    else only[1].push(j);
  }
  flush();
  return rows;
}

function codeLine(lines, number, same) {
  if (number === null) return make("div", { className: "line filler" });
  const differs = !same && lines[number].trim() !== "";
  return make("div", { className: differs ? "line differs" : "line" },
    make("span", { className: "number" }, String(number + 1)),
    make("span", { className: "mark" }, differs ? "•" : ""),
    make("code", {}, lines[number] || " "));
}

// Shows the two texts, and tells how many lines they have in common.
function showCode(boxes, texts) {
  const [left, right] = texts.map((text) => text.replace(/\n$/, "").split("\n"));
  const rows = sideBySide(left, right);
  boxes[0].replaceChildren(make("div", { className: "lines" },
    ...rows.map((row) => codeLine(left, row.left, row.same))));
  boxes[1].replaceChildren(make("div", { className: "lines" },
    ...rows.map((row) => codeLine(right, row.right, row.same))));
  const same = rows.filter((row) => row.same).length;
  return `${counted(same, "line")} in common, ${left.length - same} only on the left, ` +
    `${right.length - same} only on the right.`;
}
