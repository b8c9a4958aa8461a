// Fills the page from the results that are embedded in it.

const text = document.getElementById("results").textContent;
const results = JSON.parse(text);
const byId = (id) => document.getElementById(id);

const FAMILIES = { timtow: "timtow", floor: "raw TCP", peer: "other servers", perl: "Perl" };
const failed = (server) => server.checks?.failed ?? [];
const compared = results.servers.filter((server) => !server.skipped && !failed(server).length);
const echoes = (server) => (server.mode ?? "echo") === "echo";  // others send to many
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
// At first the cell where most servers were busy: there throughput says most.
const busy = (key) => closed.filter((cell) => isAt(key)(cell) && cell.saturated).length;
let chosen = [...allKeys].sort((a, b) => busy(b) - busy(a))[0];

function cellName({ size, pipeline, connections, payload }) {
  const what = payload && payload !== "binary" ? ` of ${DIMENSIONS.payload[1](payload)}` : "";
  const how = pipeline > 1 ? `${pipeline} at a time` : "one at a time";
  return `${sizeName(size)}${what}, ${how} on ${counted(connections, "connection")}`;
}

const roundsOf = (here) => {
  const rounds = here.map((cell) => cell.rounds?.length ?? 0);
  return rounds.length ? `; ${counted(Math.max(...rounds), "round")}` : "";
};

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
  byId("chooser").prepend(...fields);
}

// Legend and choice in one, at each section that has charts.
function makeFamilies() {
  const families = Object.keys(FAMILIES).filter((family) =>
    compared.some((server) => server.family === family));
  const toggle = ({ target: { value, checked } }) => {
    hidden[checked ? "delete" : "add"](value);
    for (const input of document.getElementsByName("family"))
      if (input.value === value) input.checked = checked;
    draw();
  };
  for (const box of document.querySelectorAll(".families"))
    box.append(make("legend", {}, "Show"), ...families.map((family) => {
      const label = option("checkbox", "family", family, FAMILIES[family], true, toggle);
      label.firstChild.after(make("span", { className: `swatch ${family}` }));
      return label;
    }));
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
  const where = cellName(chosen) + roundsOf(here);
  byId("cell-note").textContent = notesOn(here).join(" ");
  drawBars(byId("throughput"), {
    title: "Throughput, messages a second", where, kind: "rate",
    rows: rowsOf(here, (cell) => cell.throughput),
    prefix: atLeast,
  });
  drawBars(byId("cpu"), {
    title: "CPU per message", where, kind: "seconds", cut: true,
    rows: rowsOf(here, (cell) => cell.cpu_per_message),
  });
  drawBars(byId("share"), {
    title: "CPU per message, relative to the floor", where, kind: "ratio", cut: true,
    rows: rowsOf(here, (cell) => cell.share_of_floor),
    reference: { value: 1, text: "floor" },
  });
  drawBars(byId("syscalls"), {
    title: "System calls per message", where, kind: "number", cut: true,
    rows: rowsOf(here, (cell) => cell.syscalls_per_message), table: tableOfCalls(here),
  });
}

function tableOfCalls(here) {
  const names = unique(here.flatMap((cell) => Object.keys(cell.syscalls ?? {}))).sort();
  return makeTable(["server", "all", ...names],
    rowsOf(here, (cell) => cell.syscalls_per_message).map(({ name, quantity, cell }) =>
      [name, ...[quantity, ...names.map((call) => cell.syscalls?.[call])]
        .map((count) => written(count, "number"))]));
}

const atLeast = ({ cell }) => (cell.client_bottleneck ? "≥ " : "");

function notesOn(here) {
  const who = (list) => (list.length === here.length ? "all servers"
    : list.map((cell) => cell.server).join(", "));
  const held = here.filter((cell) => cell.client_bottleneck);
  const waiting = here.filter((cell) => cell.saturated === false && !cell.client_bottleneck);
  const there = new Set(here.filter((cell) => cell.throughput).map((cell) => cell.server));
  const missing = compared.filter((server) => echoes(server) && !there.has(server.name));
  return [
    held.length && `The client was the limit of ${who(held)}: they may do more (≥).`,
    waiting.length && `The core of ${who(waiting)} was not full: compare the CPU instead.`,
    missing.length && `Not measured: ${missing.map((server) => server.name).join(", ")}.`,
  ].filter(Boolean);
}

// ---- Shares of the floor, in all cells

function drawShares() {
  const shown = compared.filter((server) => !hidden.has(server.family) &&
    closed.some((cell) => cell.server === server.name && cell.share_of_floor));
  if (!shown.length) return byId("shares").replaceChildren("Not measured.");
  const heads = allKeys.map(({ size, pipeline, connections, payload }) => make("span", {},
    `${sizeName(size)} × ${pipeline}`, make("br"), counted(connections, "connection"),
    ...(payload && payload !== "binary" ? [make("br"), DIMENSIONS.payload[1](payload)] : [])));
  const rows = shown.map((server) => [server.name, ...allKeys.map((key) => {
    const share = cellOf(server, key)?.share_of_floor;
    const isOne = hasInterval(share) && share.low <= 1 && share.high >= 1;
    const title = writtenInterval(share, "ratio");
    return make("span", { className: isOne ? "parity" : "", title }, written(share, "ratio"));
  })]);
  byId("shares").replaceChildren(makeTable(["server", ...heads], rows));
}

// ---- Latency

const PERCENTILES = {
  p50: "50 %", p90: "90 %", p99: "99 %", p999: "99.9 %", max: "slowest" };
const timed = inMode("open", "closed").filter((cell) => cell.latency_histogram?.length);
const timedName = (cell) => (cell.mode === "open" ? `open loop, ${tickName(cell.rate, "rate")}, `
  : "closed loop, ") + cellName(cell);

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
  const places = Math.max(0, Math.round(Math.log10(x)) - 2);
  return `${(100 - 100 / x).toLocaleString("en", { maximumFractionDigits: places })} %`;
}

function makeLatencyChooser() {
  const names = unique([...timed.filter((cell) => cell.mode === "open"), ...timed].map(timedName));
  byId("latency-cell").append(...names.map((name) => make("option", {}, name)));
  byId("latency-cell").onchange = drawLatency;
}

function drawLatency() {
  const where = byId("latency-cell").value;
  const here = inOrder(timed.filter((cell) => timedName(cell) === where && isShown(cell)));
  drawCurves(byId("percentiles"), {
    title: "Latency by percentile", where, points: false,
    x: "percentile of messages",
    series: here.map((cell) => ({ name: cell.server, family: familyOf[cell.server],
      points: percentileCurve(cell.latency_histogram) })),
    tick: percentName, ticks: [1, 2, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7],
    table: makeTable(["server", ...Object.values(PERCENTILES)],
      here.map(({ server, latency }) => [server,
        ...Object.keys(PERCENTILES).map((key) => written(latency?.[key], "seconds"))])),
  });
}

// ---- Idle connections

const idle = inMode("idle");

function drawIdle() {
  const shown = inOrder(idle.filter(isShown));
  const counts = unique(idle.map((cell) => cell.connections)).sort((a, b) => a - b);
  const names = unique(shown.map((cell) => cell.server));
  const at = (name, count) =>
    shown.find((cell) => cell.server === name && cell.connections === count);
  drawCurves(byId("scaling"), {
    title: "CPU per message by idle connections", x: "idle connections",
    series: names.map((name) => ({ name, family: familyOf[name],
      points: counts.map((count) => [count, at(name, count)?.cpu_per_message])
        .filter(([, quantity]) => middle(quantity))
        .map(([count, quantity]) => ({ x: Math.max(count, 1), y: middle(quantity), quantity })) })),
    tick: (value) => value.toLocaleString("en"), ticks: counts.map((count) => Math.max(count, 1)),
    table: makeTable(["server", ...counts.map((count) => `${count.toLocaleString("en")} idle`)],
      names.map((name) => [name, ...counts.map((count) =>
        written(at(name, count)?.cpu_per_message, "seconds"))])),
  });
  const many = counts.at(-1);
  const here = shown.filter((cell) => cell.connections === many);
  const where = many ? counted(many, "idle connection") + roundsOf(here) : "";
  drawBars(byId("memory"), { title: "Memory per idle connection", where, kind: "bytes", cut: true,
    rows: rowsOf(here, (cell) => cell.rss_per_connection) });
  drawBars(byId("idle-throughput"), { title: "Throughput beside them, messages a second", where,
    kind: "rate", rows: rowsOf(here, (cell) => cell.throughput), prefix: atLeast });
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
  slow: ["Beside slow readers", "messages a second", "CPU per message"],
};

function drawScenarios() {
  const box = byId("scenario-figures");
  const figure = (id) => byId(id) ?? box.appendChild(make("figure", { id }));
  const name = (cell) => `${sizeName(cell.size)}, ${counted(cell.connections, "connection")}`;
  for (const [mode, [title, rate, cost]] of Object.entries(SCENARIOS)) {
    const all = inMode(mode);
    unique(all.map(name)).forEach((what, i) => {
      const here = all.filter((cell) => name(cell) === what), where = what + roundsOf(here);
      drawBars(figure(`${mode}-rate-${i}`), { title: `${title}: ${rate}`, where, kind: "rate",
        rows: rowsOf(here, (cell) => cell.throughput), prefix: atLeast });
      drawBars(figure(`${mode}-cost-${i}`), { title: `${title}: ${cost}`, where, kind: "seconds",
        cut: true, rows: rowsOf(here, (cell) => cell.cpu_per_message) });
      if (mode === "slow")
        drawBars(figure(`slow-memory-${i}`), { title: `${title}: the server’s memory`, where,
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

function cellOf(server, key = chosen) {
  return key && closed.find((cell) => cell.server === server.name && isAt(key)(cell));
}

const quantityColumn = (title, kind, quantity, more = {}) => ({
  title, isNumber: true,
  value: (server) => middle(quantity(server)),
  show: (server) => {
    const interval = writtenInterval(quantity(server), kind);
    return [written(quantity(server), kind), ...(interval ? [make("small", {}, interval)] : [])];
  },
  ...more,
});
const textColumn = (title, value, more = {}) => ({
  title, isNumber: false, value: (server) => value(server) || null,
  show: (server) => [value(server) || "–"], ...more });
const brought = (title, key) => textColumn(title, (server) => server.loop?.[key]);

const COLUMNS = [
  textColumn("server", (server) => server.name, { show: (server) =>
    [make("span", { className: `swatch ${server.family}` }), server.name] }),
  quantityColumn("throughput", "rate", (server) => cellOf(server)?.throughput,
    { largestFirst: true }),
  quantityColumn("CPU per message", "seconds", (server) => cellOf(server)?.cpu_per_message),
  quantityColumn("share of floor", "ratio", (server) => cellOf(server)?.share_of_floor),
  quantityColumn("latency p50", "seconds", (server) => cellOf(server)?.latency?.p50),
  quantityColumn("latency p99", "seconds", (server) => cellOf(server)?.latency?.p99),
  quantityColumn("memory per connection", "bytes",
    (server) => memoryCell(server.name)?.rss_per_connection),
  quantityColumn("adapter lines", "number", (server) => server.adapter_lines,
    { show: (server) => [String(server.adapter_lines ?? "–")] }),
  quantityColumn("binary", "bytes", (server) => server.binary_bytes),
  quantityColumn("compile time", "seconds", (server) => server.compile_seconds),
  textColumn("licence", (server) => server.licence),
  brought("timers", "timers"), brought("DNS", "dns"), brought("TLS", "tls"),
  brought("threads", "threads"), brought("Windows", "windows"),
  textColumn("library", (server) =>
    [server.library, server.library_version].filter(Boolean).join(" ")),
];

let sorting = null;  // {column, descending}

function sortBy(column) {
  const again = sorting?.column === column;
  sorting = { column, descending: again ? !sorting.descending : Boolean(column.largestFirst) };
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
    .filter((server) => echoes(server) && !hidden.has(server.family))
    .sort((a, b) => (place[a.name] ?? 1e9) - (place[b.name] ?? 1e9)));
  const head = COLUMNS.map((column) => {
    const sort = sorting?.column !== column ? "none"
      : sorting.descending ? "descending" : "ascending";
    const className = column.isNumber ? "number" : "";
    return make("th", { scope: "col", aria: { sort }, className },
      make("button", { type: "button", onclick: () => sortBy(column) }, column.title));
  });
  const body = servers.map((server) => {
    const wrong = server.skipped ? `not run: ${server.skipped}`
      : failed(server).length ? `FAILED: ${failed(server).join("; ")}` : "";
    const [name, ...others] = COLUMNS;
    return make("tr", {}, make("th", { scope: "row" }, ...name.show(server)), ...(wrong
      ? [make("td", { colSpan: others.length, className: "wrong" }, wrong)]
      : others.map((column) =>
        make("td", { className: column.isNumber ? "number" : "" }, ...column.show(server)))));
  });
  byId("main-table").replaceChildren(make("table", {},
    make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...body)));
  byId("table-cell").textContent = chosen ? `At ${cellName(chosen)}.` : "";
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
  // Adapters are one group; others are grouped by their folder.
  const folder = (path) => path.match(/^adapters|.*(?=\/)|/)[0];
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

byId("percentiles").redraw = drawLatency;
byId("scaling").redraw = drawIdle;
makeChooser();
makeFamilies();
makeLatencyChooser();
makeCodeChooser();
makeDownload();
draw();
// Charts have the colours of the page when they are drawn.
for (const query of ["(prefers-color-scheme: dark)", "print"])
  matchMedia(query).addEventListener("change", draw);
