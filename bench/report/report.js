// Fills the page from the results that are embedded in it.

const text = document.getElementById("results").textContent;
const results = JSON.parse(text);
const byId = (id) => document.getElementById(id);

const FAMILIES = { timtow: "timtow", floor: "raw TCP", peer: "other servers", perl: "Perl" };
const failed = (server) => server.checks?.failed ?? [];
const compared = results.servers.filter((server) => !server.skipped && !failed(server).length);
const familyOf = Object.fromEntries(compared.map((server) => [server.name, server.family]));
const cells = results.cells.filter((cell) => cell.server in familyOf);
const inMode = (...modes) => cells.filter((cell) => modes.includes(cell.mode));

const hidden = new Set();  // families
const isShown = (cell) => !hidden.has(familyOf[cell.server]);
// In the order of the servers, families together: an order that ranks nothing.
const place = Object.fromEntries(Object.keys(FAMILIES).flatMap((family) =>
  compared.filter((server) => server.family === family)).map((server, i) => [server.name, i]));
const inOrder = (list) => [...list].sort((a, b) => place[a.server] - place[b.server]);
const rowsOf = (list, quantity) => inOrder(list.filter(isShown)).map((cell) => ({
  name: cell.server, family: familyOf[cell.server], quantity: quantity(cell), cell }));
const unique = (values) => [...new Set(values)];
const byValue = (a, b) => (a > b) - (a < b);

// ---- The cell that is shown

const DIMENSIONS = {
  size: ["Message", sizeName],
  pipeline: ["In flight", (count) => String(count)],
  connections: ["Connections", (count) => count.toLocaleString("en")],
  payload: ["Payload", (kind) => ({ mixed: "mixed text", ascii: "ASCII text" })[kind] ?? kind],
};
const keys = Object.keys(DIMENSIONS);
const closed = inMode("closed");
const isAt = (key) => (cell) => keys.every((name) => cell[name] === key[name]);
const keyOf = (cell) => Object.fromEntries(keys.map((name) => [name, cell[name]]));
const same = (a) => (b) => keys.every((name) => a[name] === b[name]);
const allKeys = closed.map(keyOf)
  .filter((key, i, all) => all.findIndex(same(key)) === i)
  .sort((a, b) => keys.map((name) => byValue(a[name], b[name])).find(Boolean) ?? 0);
let chosen = allKeys[0];

function cellName({ size, pipeline, connections, payload }) {
  const what = payload && payload !== "binary" ? ` of ${DIMENSIONS.payload[1](payload)}` : "";
  const how = pipeline > 1 ? `${pipeline} at a time` : "one at a time";
  return `${sizeName(size)}${what}, ${how} on ${counted(connections, "connection")}`;
}

// What was asked for, and of the rest as much as was measured.
function nearest(name, value) {
  const alike = (key) => keys.filter((other) => key[other] === chosen[other]).length;
  return allKeys.filter((key) => key[name] === value).sort((a, b) => alike(b) - alike(a))[0];
}

function option(type, name, value, label, checked, onchange) {
  return make("label", {}, make("input", { type, name, value, checked, onchange }), ` ${label}`);
}

function makeChooser() {
  const fields = keys.map((name) => [name, unique(allKeys.map((key) => key[name])).sort(byValue)])
    .filter(([, values]) => values.length > 1)
    .map(([name, values]) => make("fieldset", {},
      make("legend", {}, DIMENSIONS[name][0]),
      ...values.map((value) => option("radio", name, String(value), DIMENSIONS[name][1](value),
        value === chosen[name], () => choose(nearest(name, value))))));
  const families = Object.keys(FAMILIES).filter((family) =>
    compared.some((server) => server.family === family));
  const toggle = (family) => ({ target }) => {
    hidden[target.checked ? "delete" : "add"](family);
    draw();
  };
  const show = make("fieldset", {}, make("legend", {}, "Show"), ...families.map((family) => {
    const label = option("checkbox", "family", family, FAMILIES[family], true, toggle(family));
    label.firstChild.after(make("span", { className: `swatch ${family}` }));
    return label;
  }));
  byId("chooser").append(...fields, show);
}

function choose(key) {
  chosen = key;
  for (const name of keys)
    for (const input of document.getElementsByName(name))
      input.checked = input.value === String(key[name]);
  drawCell();
  drawTable();
}

function drawCell() {
  if (!chosen) {
    byId("cell-note").textContent = "Nothing was measured in the closed loop.";
    return;
  }
  const here = closed.filter(isAt(chosen));
  const at = cellName(chosen);
  byId("cell-note").textContent = [`${at}.`, ...notesOn(here)].join(" ");
  drawBars(byId("throughput"), {
    title: `Throughput: messages a second, ${at}`, kind: "rate",
    rows: rowsOf(here, (cell) => cell.throughput),
    prefix: ({ cell }) => (cell.client_bottleneck ? "≥ " : ""),
  });
  drawBars(byId("cpu"), {
    title: `CPU per message of the server, ${at}`, kind: "seconds", cut: true,
    rows: rowsOf(here, (cell) => cell.cpu_per_message),
  });
  drawBars(byId("share"), {
    title: `CPU per message relative to the raw floor, ${at}`, kind: "ratio", cut: true,
    rows: rowsOf(here, (cell) => cell.share_of_floor),
    reference: { value: 1, text: "raw TCP" },
  });
  drawBars(byId("syscalls"), {
    title: `System calls per message, ${at}`, kind: "number", cut: true,
    rows: rowsOf(here, (cell) => cell.syscalls_per_message),
  });
}

function notesOn(here) {
  const names = (list) => list.map((cell) => cell.server).join(", ");
  const held = here.filter((cell) => cell.client_bottleneck);
  const waiting = here.filter((cell) => cell.saturated === false && !cell.client_bottleneck);
  const there = new Set(here.map((cell) => cell.server));
  const missing = compared.filter((server) => !there.has(server.name));
  return [
    held.length && `The client was the limit for ${names(held)}: they may do more (≥).`,
    waiting.length && `No full core of the server: ${
      waiting.length === here.length ? "all" : names(waiting)}. Compare the CPU.`,
    missing.length && `Not measured: ${missing.map((server) => server.name).join(", ")}.`,
  ].filter(Boolean);
}

// ---- Shares of the floor, in all cells

function drawShares() {
  const shown = compared.filter((server) => !hidden.has(server.family) &&
    closed.some((cell) => cell.server === server.name && cell.share_of_floor));
  if (!shown.length) return byId("shares").replaceChildren("Not measured.");
  const heads = allKeys.map((key) => make("span", {},
    `${sizeName(key.size)} × ${key.pipeline}`, make("br"),
    counted(key.connections, "connection"),
    ...(key.payload && key.payload !== "binary" ? [make("br"), DIMENSIONS.payload[1](key.payload)] : [])));
  const rows = shown.map((server) => [server.name, ...allKeys.map((key) => {
    const share = closed.find((cell) => cell.server === server.name && isAt(key)(cell))?.share_of_floor;
    const isOne = hasInterval(share) && share.low <= 1 && share.high >= 1;
    return make("span", { className: isOne ? "parity" : "", title: writtenInterval(share, "ratio") },
      written(share, "ratio"));
  })]);
  byId("shares").replaceChildren(makeTable(["server", ...heads], rows));
}

// ---- Latency

const PERCENTILES = [["p50", "50 %"], ["p90", "90 %"], ["p99", "99 %"], ["p999", "99.9 %"], ["max", "max"]];
const timed = inMode("open", "closed").filter((cell) => cell.latency_histogram?.length);
const timedName = (cell) => cell.mode === "open"
  ? `open loop, ${written(cell.rate, "rate")}, ${cellName(cell)}` : `closed loop, ${cellName(cell)}`;

// Curves over 1 / (1 - p): how many messages it takes to meet one that is slower.
function percentileCurve(histogram) {
  const total = histogram.reduce((sum, [, count]) => sum + count, 0);
  let below = 0;
  const points = [{ x: 1, y: histogram[0][0] }];
  for (const [seconds, count] of histogram) {
    below += count;
    points.push({ x: below < total ? total / (total - below) : total, y: seconds });
  }
  return points;
}

function percentName(x) {
  const percent = 100 * (1 - 1 / x);
  return `${percent.toLocaleString("en", { maximumFractionDigits: Math.max(0, Math.round(Math.log10(x)) - 2) })} %`;
}

function makeLatencyChooser() {
  const names = unique([...timed.filter((cell) => cell.mode === "open"), ...timed].map(timedName));
  byId("latency-cell").append(...names.map((name) => make("option", {}, name)));
  byId("latency-cell").onchange = drawLatency;
}

function drawLatency() {
  const name = byId("latency-cell").value;
  const here = inOrder(timed.filter((cell) => timedName(cell) === name && isShown(cell)));
  drawCurves(byId("percentiles"), {
    title: `Latency by percentile, ${name}`, points: false, x: "percentile of the messages", y: "latency",
    series: here.map((cell) => ({ name: cell.server, family: familyOf[cell.server],
      points: percentileCurve(cell.latency_histogram) })),
    tick: percentName, ticks: [1, 2, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7],
    table: makeTable(["server", ...PERCENTILES.map(([, label]) => label)], here.map((cell) =>
      [cell.server, ...PERCENTILES.map(([key]) => written(cell.latency?.[key], "seconds"))])),
  });
}

// ---- Idle connections

const idle = inMode("idle");

function drawIdle() {
  const shown = inOrder(idle.filter(isShown));
  const counts = unique(idle.map((cell) => cell.connections)).sort((a, b) => a - b);
  const names = unique(shown.map((cell) => cell.server));
  const at = (name, count) => shown.find((cell) => cell.server === name && cell.connections === count);
  drawCurves(byId("scaling"), {
    title: "CPU per message by idle connections", x: "idle connections", y: "CPU per message",
    series: names.map((name) => ({ name, family: familyOf[name],
      points: counts.map((count) => [count, at(name, count)?.cpu_per_message])
        .filter(([, quantity]) => middle(quantity))
        .map(([count, quantity]) => ({ x: Math.max(count, 1), y: middle(quantity), quantity })) })),
    tick: (value) => value.toLocaleString("en"), ticks: counts.map((count) => Math.max(count, 1)),
    table: makeTable(["server", ...counts.map((count) => `${count.toLocaleString("en")} idle`)],
      names.map((name) => [name, ...counts.map((count) =>
        written(at(name, count)?.cpu_per_message, "seconds"))])),
  });
  const largest = names.map(memoryCell).filter(Boolean);
  const most = Math.max(...largest.map((cell) => cell.connections));
  drawBars(byId("memory"), {
    title: largest.length ? `Memory per idle connection, of ${most.toLocaleString("en")}`
                          : "Memory per idle connection",
    kind: "bytes", cut: true, rows: rowsOf(largest, (cell) => cell.rss_per_connection),
  });
}

// Of a server's idle cells the one with most connections: there the rest weighs least.
function memoryCell(name) {
  return idle.filter((cell) => cell.server === name && middle(cell.rss_per_connection))
    .sort((a, b) => b.connections - a.connections)[0];
}

// ---- Churn, fan-out, slow readers

const SCENARIOS = {
  churn: ["Connect, one echo, close", "connections a second", "CPU per connection"],
  fanout: ["Fan-out", "deliveries a second", "CPU per delivery"],
  slow: ["With slow readers", "messages a second of those that are not slow", "CPU per message"],
};

function drawScenarios() {
  const box = byId("scenario-figures");
  const figure = (id) => byId(id) ?? box.appendChild(make("figure", { id }));
  for (const [mode, [title, rate, cost]] of Object.entries(SCENARIOS)) {
    const all = inMode(mode);
    unique(all.map((cell) => `${sizeName(cell.size)}, ${counted(cell.connections, "connection")}`))
      .forEach((where, i) => {
        const here = all.filter((cell) => where ===
          `${sizeName(cell.size)}, ${counted(cell.connections, "connection")}`);
        drawBars(figure(`${mode}-rate-${i}`), { title: `${title}: ${rate}, ${where}`, kind: "rate",
          rows: rowsOf(here, (cell) => cell.throughput),
          prefix: ({ cell }) => (cell.client_bottleneck ? "≥ " : "") });
        drawBars(figure(`${mode}-cost-${i}`), { title: `${title}: ${cost}, ${where}`, kind: "seconds",
          cut: true, rows: rowsOf(here, (cell) => cell.cpu_per_message) });
        if (mode === "slow")
          drawBars(figure(`slow-memory-${i}`), { title: `${title}: the server’s memory, ${where}`,
            kind: "bytes", cut: true, rows: rowsOf(here, mostMemory) });
      });
  }
  if (!box.firstChild) box.append(make("p", {}, "Not measured."));
}

function mostMemory(cell) {
  const sizes = (cell.rounds ?? []).map((round) => round.server?.rss_during?.private).filter(known);
  return sizes.length ? Math.max(...sizes) : null;
}

// ---- The table

const cellOf = (server) => chosen && closed.find((cell) => cell.server === server.name && isAt(chosen)(cell));
const quantityColumn = (title, kind, quantity, largestFirst = false) => ({
  title, largestFirst, isNumber: true,
  value: (server) => middle(quantity(server)),
  show: (server) => {
    const interval = writtenInterval(quantity(server), kind);
    return [written(quantity(server), kind), ...(interval ? [make("small", {}, interval)] : [])];
  },
});
const textColumn = (title, value) => ({
  title, isNumber: false, value: (server) => value(server) ?? null, show: (server) => [value(server) ?? "–"] });

const COLUMNS = [
  { ...textColumn("server", (server) => server.name), show: (server) =>
    [make("span", { className: `swatch ${server.family}` }), server.name] },
  quantityColumn("throughput", "rate", (server) => cellOf(server)?.throughput, true),
  quantityColumn("CPU per message", "seconds", (server) => cellOf(server)?.cpu_per_message),
  quantityColumn("share of floor", "ratio", (server) => cellOf(server)?.share_of_floor),
  quantityColumn("latency p50", "seconds", (server) => cellOf(server)?.latency?.p50),
  quantityColumn("latency p99", "seconds", (server) => cellOf(server)?.latency?.p99),
  quantityColumn("memory per connection", "bytes", (server) => memoryCell(server.name)?.rss_per_connection),
  { ...quantityColumn("adapter lines", "number", (server) => server.adapter_lines),
    show: (server) => [String(server.adapter_lines ?? "–")] },
  quantityColumn("binary", "bytes", (server) => server.binary_bytes),
  quantityColumn("compile time", "seconds", (server) => server.compile_seconds),
  textColumn("licence", (server) => server.licence),
  ...[["timers"], ["dns", "DNS"], ["tls", "TLS"], ["threads"], ["windows", "Windows"]].map(([key, title]) =>
    textColumn(title ?? key, (server) => server.loop?.[key] || null)),
  textColumn("library", (server) => server.library && [server.library, server.library_version]
    .filter(Boolean).join(" ")),
];

let sorting = null;  // {column, descending}

function sortBy(column) {
  const descending = sorting?.column === column ? !sorting.descending : column.largestFirst ?? false;
  sorting = { column, descending };
  drawTable();
  byId("main-table").querySelectorAll("th button")[COLUMNS.indexOf(column)].focus();
}

function inSorting(servers) {
  if (!sorting) return servers;
  const { column, descending } = sorting;
  return [...servers].sort((a, b) => {
    const [x, y] = [column.value(a), column.value(b)];
    if (x === null || y === null) return (x === null) - (y === null);  // what is missing comes last
    return descending ? byValue(y, x) : byValue(x, y);
  });
}

function drawTable() {
  const servers = inSorting(results.servers
    .filter((server) => !hidden.has(server.family))
    .sort((a, b) => (place[a.name] ?? 1e9) - (place[b.name] ?? 1e9)));
  const head = make("tr", {}, ...COLUMNS.map((column) => {
    const state = sorting?.column !== column ? "none" : sorting.descending ? "descending" : "ascending";
    return make("th", { scope: "col", aria: { sort: state }, className: column.isNumber ? "number" : "" },
      make("button", { type: "button", onclick: () => sortBy(column) }, column.title));
  }));
  const body = servers.map((server) => {
    const wrong = server.skipped ? `not run: ${server.skipped}`
      : failed(server).length ? `FAILED: ${failed(server).join("; ")}` : "";
    const name = make("th", { scope: "row" }, ...COLUMNS[0].show(server));
    if (wrong) return make("tr", {}, name,
      make("td", { colSpan: COLUMNS.length - 1, className: "wrong" }, wrong));
    return make("tr", {}, name, ...COLUMNS.slice(1).map((column) =>
      make("td", { className: column.isNumber ? "number" : "" }, ...column.show(server))));
  });
  byId("main-table").replaceChildren(make("table", {}, make("thead", {}, head), make("tbody", {}, ...body)));
  byId("table-cell").textContent = chosen
    ? `At ${cellName(chosen)}: the cell that is chosen above.` : "";
}

// ---- The code

function makeCodeChooser() {
  const sources = new Map(results.servers.flatMap((server) =>
    (server.code ?? []).map(({ path, text }) => [path, text])));
  const paths = [...sources.keys()];
  if (!paths.length) {
    byId("code-note").textContent = "These results hold no code.";
    byId("sides").hidden = true;
    return;
  }
  const folder = (path) => path.split("/").slice(0, path.startsWith("adapters/") ? 1 : -1).join("/");
  const selects = [byId("left"), byId("right")];
  for (const select of selects) {
    select.append(...unique(paths.map(folder)).map((label) => make("optgroup", { label },
      ...paths.filter((path) => folder(path) === label).map((path) =>
        make("option", { value: path }, path.slice(label.length + 1))))));
    select.onchange = show;
  }
  const alike = paths.filter((path) => folder(path) === folder(paths[0]));
  selects[1].value = alike[1] ?? paths.at(-1);
  show();

  function show() {
    byId("code-note").textContent = showCode([byId("left-code"), byId("right-code")],
      selects.map((select) => sources.get(select.value)));
  }
}

// ---- The data

function makeDownload() {
  byId("download").href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  byId("data-size").textContent = written(text.length, "bytes");
}

function draw() {
  drawCell();
  drawShares();
  drawLatency();
  drawIdle();
  drawScenarios();
  drawTable();
}

makeChooser();
makeLatencyChooser();
makeCodeChooser();
makeDownload();
draw();
// Charts have the colours of the page when they are drawn.
for (const query of ["(prefers-color-scheme: dark)", "print"])
  matchMedia(query).addEventListener("change", draw);
