// Bars and curves on Chart.js, each with its numbers as a table, for those who do not see them.

// An element: make("p", {className: "note"}, "text", child, ...)
function make(tag, properties = {}, ...children) {
  const { dataset = {}, aria = {}, ...others } = properties;
  const element = Object.assign(document.createElement(tag), others);
  Object.assign(element.dataset, dataset);
  for (const [name, value] of Object.entries(aria)) element.setAttribute(`aria-${name}`, value);
  element.append(...children);
  return element;
}

const color = (name) =>
  getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const FONT = { family: "system-ui, sans-serif", size: 12 };
const BAR = 23;  // pixels, with the space between two
const DASHES = [[], [7, 3], [2, 2], [9, 3, 2, 3], [4, 4], [12, 3], [1, 3], [6, 2, 1, 2, 1, 2]];
const POINTS = ["circle", "rect", "triangle", "rectRot", "cross", "crossRot", "star", "dash"];
const FAINT = "38";  // the alpha of a curve beside one that was picked out

// A round number that is not smaller.
function roundUp(value) {
  const step = 10 ** Math.floor(Math.log10(value)) / 2;
  return Math.ceil(value / step) * step;
}

// The whiskers of intervals, the value of each bar, and the line of a value that matters.
const annotations = {
  id: "annotations",
  afterDatasetsDraw(chart, _, { reference }) {
    const { ctx, scales, chartArea } = chart;
    const along = chart.options.indexAxis === "y" ? "x" : "y";
    ctx.save();
    ctx.font = `${FONT.size}px ${FONT.family}`;
    ctx.textBaseline = "middle";
    if (reference)
      drawReference(ctx, scales.x.getPixelForValue(reference.value), chartArea, reference.text);
    [...chart.data.datasets.entries()].reverse().forEach(([which, dataset]) => {  // timtow on top
      chart.getDatasetMeta(which).data.forEach((element, index) => {
        const row = dataset.rows[index];
        if (hasInterval(row.quantity)) {
          ctx.strokeStyle = along === "x" ? color("ink") : dataset.borderColor;
          drawWhisker(ctx, element, along, scales[along], row.quantity, chartArea);
        }
        if (row.label) drawLabel(ctx, element, row, scales.x, chartArea);
      });
    });
    ctx.restore();
  },
};

function drawWhisker(ctx, element, along, scale, { low, high }, area) {
  const [edge, end] = along === "x" ? [area.left, area.right] : [area.bottom, area.top];
  if (along === "x" && scale.getPixelForValue(low) > end) return;  // its bar is cut
  const inside = (pixel) => Math.min(Math.max(pixel, Math.min(edge, end)), Math.max(edge, end));
  const from = inside(scale.getPixelForValue(low)), to = inside(scale.getPixelForValue(high));
  const across = along === "x" ? element.y : element.x;
  const point = (a, b) => (along === "x" ? [a, b] : [b, a]);
  ctx.lineWidth = 1.5;
  ctx.beginPath();
  ctx.moveTo(...point(from, across));
  ctx.lineTo(...point(to, across));
  for (const tip of [from, to]) {
    ctx.moveTo(...point(tip, across - 4));
    ctx.lineTo(...point(tip, across + 4));
  }
  ctx.stroke();
}

function drawLabel(ctx, element, { quantity, label }, scale, area) {
  const end = scale.getPixelForValue(hasInterval(quantity) ? quantity.high : middle(quantity));
  const isCut = scale.getPixelForValue(middle(quantity)) > area.right + 1;
  if (isCut) {  // a gap near the edge says that the bar goes on
    ctx.strokeStyle = color("paper");
    ctx.lineWidth = 3;
    ctx.beginPath();
    ctx.moveTo(area.right - 14, element.y + 10);
    ctx.lineTo(area.right - 8, element.y - 10);
    ctx.stroke();
  }
  ctx.fillStyle = color("ink");
  ctx.textAlign = "left";
  ctx.fillText(label, Math.min(end, area.right) + 6, element.y);
}

function drawReference(ctx, x, area, text) {
  ctx.strokeStyle = ctx.fillStyle = color("ink");
  ctx.lineWidth = 1;
  ctx.setLineDash([4, 3]);
  ctx.beginPath();
  ctx.moveTo(x, area.top - 4);
  ctx.lineTo(x, area.bottom);
  ctx.stroke();
  ctx.setLineDash([]);
  ctx.textAlign = "center";
  ctx.fillText(text, x, area.top - 12);
}

// The names of curves at their ends, pushed apart where they would overlap.
const endLabels = {
  id: "endLabels",
  afterDatasetsDraw(chart) {
    const { ctx, chartArea } = chart;
    const labels = chart.data.datasets.flatMap((dataset, which) => {
      const end = chart.getDatasetMeta(which).data.at(-1);
      const label = { text: dataset.label, color: dataset.borderColor, x: end.x, from: end.y };
      return dataset.isNamed ? [{ ...label, y: end.y }] : [];
    }).sort((a, b) => a.y - b.y);
    const space = 13;
    labels.forEach((label, i) => {
      if (i > 0) label.y = Math.max(label.y, labels[i - 1].y + space);
    });
    let bottom = chartArea.bottom + 4;
    for (const label of labels.reverse()) {
      label.y = Math.min(label.y, bottom);
      bottom = label.y - space;
    }
    ctx.save();
    ctx.font = `${FONT.size}px ${FONT.family}`;
    ctx.textBaseline = "middle";
    for (const label of labels) {
      ctx.strokeStyle = ctx.fillStyle = label.color;
      ctx.lineWidth = 0.6;
      ctx.beginPath();
      ctx.moveTo(label.x + 3, label.from);
      ctx.lineTo(chartArea.right + 12, label.y);
      ctx.stroke();
      ctx.fillText(label.text, chartArea.right + 15, label.y);
    }
    ctx.restore();
  },
};

// Fills a <figure>: heading, canvas, note, numbers. What is open stays open when it is drawn again.
function fill(figure, { title, where, note = "", height, config, table }) {
  if (!figure.firstChild)
    figure.append(make("figcaption"), make("div", { className: "canvas" }, make("canvas")),
      make("p", { className: "note" }),
      make("details", {}, make("summary", {}, "The numbers"), make("div", {
        className: "scroll", tabIndex: 0, role: "region", aria: { label: "The numbers" } })));
  const [caption, box, remark, details] = figure.children;
  caption.replaceChildren(title, ...(where ? [make("small", {}, where)] : []));
  remark.textContent = note;
  figure.chart?.destroy();
  figure.chart = null;
  box.hidden = details.hidden = !config;
  if (!config) return;
  box.style.height = `${height}px`;
  const canvas = box.firstChild;
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label",
    `${[title, where].filter(Boolean).join(": ")}. The numbers are in the table below.`);
  details.lastChild.replaceChildren(table);
  figure.chart = new Chart(canvas, config);
}

function axis(kind, title, more = {}) {
  return {
    title: { display: Boolean(title), text: title, color: color("muted"), font: FONT },
    grid: { color: color("rule"), borderColor: color("rule"), tickColor: color("rule") },
    ...more,
    ticks: {
      color: color("muted"), font: FONT, maxRotation: 0, autoSkipPadding: 16,
      callback(value) {
        return tickName(value, kind, this.type === "logarithmic" ? value : this.max);
      },
      ...more.ticks,
    },
  };
}

const options = (more) => ({
  responsive: true, maintainAspectRatio: false, animation: false, ...more,
});

// Bars of rows {name, family, quantity}. With `cut`, bars that are much longer than those of timtow
// are cut, for they would make the others too short to be read.
function drawBars(figure, { title, where, kind, rows, cut, reference, table, prefix = () => "" }) {
  const shown = rows.filter((row) => known(middle(row.quantity))).map((row) => ({
    ...row, label: prefix(row) + written(row.quantity, kind) }));
  if (!shown.length) return fill(figure, { title, where, note: "Not measured." });
  const longest = Math.max(...shown.map((row) => row.quantity.high ?? middle(row.quantity)));
  const ours = shown.filter((row) => row.family === "timtow").map((row) => middle(row.quantity));
  const limit = cut && ours.length ? roundUp(Math.max(...ours) * 2.2) : Infinity;
  const isCut = longest > limit;
  const scale = isCut ? { max: limit } : { suggestedMax: longest };
  fill(figure, {
    title, where,
    note: isCut ? "Bars that go on beyond the edge are cut; the number is the whole." : "",
    height: shown.length * BAR + 60,
    table: table ?? makeTable(["server", "median", "interval"], shown.map((row) =>
      [row.name, written(row.quantity, kind), writtenInterval(row.quantity, kind) || "none"])),
    config: {
      type: "bar",
      data: {
        labels: shown.map((row) => row.name),
        datasets: [{
          rows: shown, data: shown.map((row) => middle(row.quantity)),
          backgroundColor: shown.map((row) => color(row.family)),
          barPercentage: 0.78, categoryPercentage: 0.9,
        }],
      },
      options: options({
        indexAxis: "y",
        layout: { padding: { right: 64, top: reference ? 20 : 4 } },
        scales: {
          x: axis(kind, "", { beginAtZero: true, ...scale }),
          y: { grid: { display: false, borderColor: color("rule") },
               ticks: { color: color("ink"), font: FONT, autoSkip: false } },
        },
        plugins: { legend: { display: false }, annotations: { reference }, tooltip: { callbacks: {
          label: ({ dataIndex }) => {
            const { quantity } = shown[dataIndex], interval = writtenInterval(quantity, kind);
            return ` ${written(quantity, kind)}${interval ? ` (${interval})` : ""}`;
          } } } },
      }),
      plugins: [annotations],
    },
  });
}

// Curves of series {name, family, points: [{x, y, quantity}]} on logarithmic axes.
function drawCurves(figure, { title, where, series, x, tick, ticks, points = true, table }) {
  const shown = series.filter((one) => one.points.length > 1);
  if (!shown.length) return fill(figure, { title, where, note: "Not measured." });
  const picked = shown.some((one) => one.name === figure.picked) ? figure.picked : "";
  // Raw TCP lies below the curves that are compared to it; the names would lie on theirs.
  const isNamed = ({ name, family }) => family !== "floor" || name === picked;
  const longest = Math.max(...shown.filter(isNamed).map(({ name }) => name.length), 0);
  const xs = shown.flatMap((one) => one.points.map((point) => point.x));
  const members = {};
  fill(figure, {
    title, where, table,
    height: Math.max(380, shown.length * 13 + 90),
    config: {
      type: "line",
      data: {
        datasets: shown.map((one) => {
          const nth = members[one.family] = (members[one.family] ?? -1) + 1;
          const ink = color(one.family) + (picked && one.name !== picked ? FAINT : "");
          return {
            label: one.name, data: one.points, rows: one.points, parsing: false,
            isNamed: isNamed(one), borderColor: ink, backgroundColor: ink,
            borderWidth: one.name === picked ? 3 : one.family === "timtow" ? 2 : 1.25,
            borderDash: DASHES[nth % DASHES.length],
            pointStyle: POINTS[nth % POINTS.length], pointRadius: points ? 4 : 0,
            pointHitRadius: 8, order: one.name === picked ? 0 : one.family === "timtow" ? 1 : 2,
          };
        }),
      },
      options: options({
        layout: { padding: { right: 22 + 7 * longest, top: 8 } },
        scales: {
          x: axis("number", x, { type: "logarithmic", ticks: { callback: tick },
            min: Math.min(...xs), max: Math.max(...xs),
            afterBuildTicks: (scale) => {
              scale.ticks = ticks.filter((value) => value >= scale.min && value <= scale.max)
                .map((value) => ({ value }));
            } }),
          y: axis("seconds", "", { type: "logarithmic", afterBuildTicks: (scale) => {
            const most = scale.max / scale.min > 200 ? [1] : [1, 2, 5];
            scale.ticks = scale.ticks.filter(({ value }) =>
              most.includes(Math.round(value / 10 ** Math.floor(Math.log10(value) + 1e-9))));
          } }),
        },
        interaction: { mode: "nearest", intersect: false },
        plugins: { legend: { display: false }, annotations: {}, tooltip: { callbacks: {
          title: ([item]) => `${item.dataset.label}, ${tick(item.parsed.x)}`,
          label: ({ raw }) => ` ${written(raw.quantity ?? raw.y, "seconds")}`,
        } } },
      }),
      plugins: points ? [annotations, endLabels] : [endLabels],
    },
  });
  figure.firstChild.append(makePicker(figure, shown.map(({ name }) => name), picked));
}

// Chooses the curve that stands out.
function makePicker(figure, names, picked) {
  const select = make("select", { onchange: () => {
    figure.picked = select.value;
    figure.redraw();
    figure.querySelector("select").focus();
  } }, make("option", { value: "" }, "none"), ...names.map((name) => make("option", {}, name)));
  select.value = picked;
  return make("label", { className: "pick" }, "Pick out ", select);
}

// A table of texts; the first column is what a row is about.
function makeTable(heads, rows) {
  const head = make("tr", {}, ...heads.map((text) => make("th", { scope: "col" }, text)));
  const body = rows.map(([name, ...texts]) => make("tr", {},
    make("th", { scope: "row" }, name), ...texts.map((text) => make("td", {}, text))));
  return make("table", {}, make("thead", {}, head), make("tbody", {}, ...body));
}
