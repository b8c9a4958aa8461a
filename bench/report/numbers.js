// How numbers are written: in units that people use, and with no more digits than the interval
// supports. A quantity is null, a number, or {median, low, high}.

const UNITS = {
  seconds: [[1, "s"], [1e-3, "ms"], [1e-6, "µs"], [1e-9, "ns"]],
  bytes: [[1e9, "GB"], [1e6, "MB"], [1e3, "kB"], [1, "B"]],
  rate: [[1e6, "M/s"], [1e3, "k/s"], [1, "/s"]],
  ratio: [[1, ""]],
  number: [[1, ""]],
};
const DIGITS = 3;  // at most, that mean something
const PLACES = { ratio: 2 };  // at most, where more would be no help

// Where the interval's half ends when it is rounded as the Particle Data Group does: to two digits
// if they are less than 36, or else to one.
const lastDigit = ({ low, high }, factor) => order((high - low) / 2 / 3.55 / factor);

const known = (value) => typeof value === "number" && Number.isFinite(value);
const middle = (quantity) => (known(quantity) ? quantity : quantity?.median ?? null);
const hasInterval = (quantity) =>
  known(quantity?.low) && known(quantity?.high) && quantity.low < quantity.high;
const order = (value) => (value > 0 ? Math.floor(Math.log10(value)) : 0);
const unitFor = (value, kind) =>
  UNITS[kind].find(([factor]) => value >= factor) ?? UNITS[kind].at(-1);

// The unit of a value, and the power of ten, in that unit, of the last digit that means something.
function precision(quantity, kind) {
  const value = Math.abs(middle(quantity));
  const [factor, unit] = unitFor(value, kind);
  if (value === 0) return { factor, unit, last: 0 };
  const scaled = value / factor;
  // Without an interval two digits, three behind a leading 1.
  const leading = Number(scaled.toExponential()[0]);
  let last = order(scaled) - (leading === 1 ? 2 : 1);
  if (hasInterval(quantity))
    last = Math.max(lastDigit(quantity, factor), order(scaled) - DIGITS + 1);
  return { factor, unit, last: Math.max(Math.min(last, order(scaled)), -(PLACES[kind] ?? DIGITS)) };
}

function digits(value, { factor, last }) {
  const step = 10 ** last;
  const places = Math.max(0, -last);
  return (Math.round(value / factor / step) * step).toLocaleString("en", {
    minimumFractionDigits: places,
    maximumFractionDigits: places,
  });
}

// "212 k/s"
function written(quantity, kind) {
  if (!known(middle(quantity))) return "–";
  const how = precision(quantity, kind);
  return `${digits(middle(quantity), how)} ${how.unit}`.trim();
}

// "209 to 214", in the unit of written()
function writtenInterval(quantity, kind) {
  if (!hasInterval(quantity)) return "";
  const how = precision(quantity, kind);
  return `${digits(quantity.low, how)} to ${digits(quantity.high, how)}`;
}

// A value on an axis, in the unit of the largest one there.
function tickName(value, kind, largest = value) {
  if (value === 0) return "0";
  const [factor, unit] = unitFor(largest, kind);
  const number = (value / factor).toLocaleString("en", { maximumSignificantDigits: DIGITS });
  return `${number} ${unit}`.trim();
}

function sizeName(bytes) {
  if (bytes >= 1 << 20 && bytes % (1 << 20) === 0) return `${bytes >> 20} MiB`;
  if (bytes >= 1 << 10 && bytes % (1 << 10) === 0) return `${bytes >> 10} KiB`;
  return `${bytes} B`;
}

const counted = (count, word) => `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;
