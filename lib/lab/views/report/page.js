// The page of the report. Data of a run is inserted as text (textContent), never as HTML.
"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const { runs, rows, bounds, specs, axes } = data;
rows.forEach((row, at) => {
  row.at = at;
});
const many = runs.length > 1;
const METRIC = runs[0]?.metric ?? { name: "val_bpb", sign: 1, places: 6 }; // sign: -1 if higher is better
const RUN_COLORS = ["var(--keep)", "#3b6fd4", "#b65ad1", "#d07b17", "#0f9aa7", "#c2407f"]; // the colours of progress.vg.json
const STATUSES = ["keep", "discard", "crash"];

// --- Helpers ---------------------------------------------------------------------------------------------------------

const id = (name) => document.getElementById(name);
const known = (value) => value !== undefined && value !== null;

/** An element with properties, and children that are elements or text. */
function el(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in node && name !== "list") node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children.filter(known));
  return node;
}

const digits = (value, count) => (known(value) ? value.toFixed(count) : "–");
const amount = (value) => digits(value, METRIC.places);
const signed = (value, count = METRIC.places) => (known(value) ? (value >= 0 ? "+" : "−") + Math.abs(value).toFixed(count) : "–");
const plural = (count, word, words = `${word}s`) => `${count.toLocaleString("en")} ${count === 1 ? word : words}`;
const sum = (list) => list.reduce((total, value) => total + value, 0);
const column = (list, name) => list.map((row) => row[name]).filter(known);
const cut = (text, length) => (text.length > length ? `${text.slice(0, length - 1)}…` : text);

/** A recorded UTC time in the reader's local time. */
function localTime(said) {
  const time = new Date(said);
  const two = (number) => String(number).padStart(2, "0");
  return `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())} ${two(time.getHours())}:${two(time.getMinutes())}`;
}

function duration(seconds) {
  if (!known(seconds)) return "–";
  if (seconds < 60) return `${seconds.toFixed(0)} s`;
  return seconds < 5400 ? `${(seconds / 60).toFixed(0)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

const cost = (row) => METRIC.sign * row.bpb; // lower is better
const ofRun = (run) => rows.filter((row) => row.run === run);
const keepsOf = (run) => ofRun(run).filter((row) => row.status === "keep" && known(row.bpb) && !row.by_hand);
const baselineOf = (run) => keepsOf(run)[0];
const bestOf = (run) => keepsOf(run).reduce((best, row) => (best && cost(best) <= cost(row) ? best : row), undefined);
const incumbentOf = (row) => rows.find((other) => other.run === row.run && other.n === row.against);
const label = (row) => (many ? `${runs[row.run].name} #${row.n}` : `#${row.n}`);

/** Show a section and return it. */
function show(name, ...children) {
  const section = id(name);
  section.hidden = false;
  section.append(...children);
  return section;
}

// --- Pictures --------------------------------------------------------------------------------------------------------

const views = [];

/** Draw a specification into an element, at the element's width. The colours are CSS variables, so they follow the theme. */
async function draw(place, name, values, signals, height) {
  const spec = structuredClone(specs[name]);
  spec.config = { ...specs.progress.config, ...spec.config };
  spec.width = Math.max(place.clientWidth, 200);
  spec.height = height;
  delete spec.title;
  for (const source of spec.data) if (values[source.name]) source.values = values[source.name];
  for (const signal of spec.signals) {
    if (["keep", "discard", "crash", "ink", "faint", "grid", "paper"].includes(signal.name))
      signal.value = `var(--${signal.name})`;
    else if (signal.name in signals) signal.value = signals[signal.name];
  }
  const options = { mode: "vega", renderer: "svg", actions: false, ast: true, tooltip: false, defaultStyle: false };
  const { view } = await vegaEmbed(place, spec, options);
  place.querySelector("svg").setAttribute("aria-hidden", "true"); // the caption and the table say the same
  const rowAt = (item) => item && item.datum && rows[item.datum.at];
  view.addEventListener("click", (_, item) => rowAt(item) && openRow(rowAt(item)));
  view.addEventListener("pointermove", (event, item) => showTip(event, rowAt(item)));
  view.addEventListener("pointerout", () => showTip());
  views.push({ view, place });
}

/** Show a tip beside the pointer; without a row, hide it. */
function showTip(event, row) {
  const tip = id("tip");
  tip.hidden = !row;
  if (!row) return;
  const gain = known(row.gain) ? `gain ${signed(row.gain)}` : row.failure || "";
  tip.replaceChildren(
    el("strong", {}, row.description),
    el("div", {}, verdict(row), ` ${label(row)}  ${row.commit.slice(0, 7)}`),
    el("div", {}, [known(row.bpb) ? `${METRIC.name} ${amount(row.bpb)}` : `no ${METRIC.name}`, gain].filter(Boolean).join("  ")),
  );
  const box = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(8, Math.min(event.clientX + 14, innerWidth - box.width - 8))}px`;
  tip.style.top = `${event.clientY + 18 + box.height > innerHeight ? event.clientY - box.height - 12 : event.clientY + 18}px`;
}

let resizing;
addEventListener("resize", () => {
  clearTimeout(resizing);
  resizing = setTimeout(() => {
    for (const { view, place } of views) if (place.isConnected) view.width(place.clientWidth).runAsync();
  }, 120);
});
addEventListener("scroll", () => showTip(), { passive: true });

const SHORT = { "within the noise": "noise" };
const verdict = (row) =>
  el("span", { className: `verdict ${row.status}` }, row.trust ? `${row.status}, ${SHORT[row.trust] || row.trust}` : row.status);

function legend(entries) {
  const items = entries.map(([name, color]) => {
    const line = el("i");
    line.style.background = color;
    return el("li", {}, line, name);
  });
  return el("ul", { className: "legend" }, ...items);
}

// --- The top ---------------------------------------------------------------------------------------------------------

function fact(name, value, small, className = "") {
  return el("div", {}, el("dt", {}, name), el("dd", { className }, value, small ? el("small", {}, small) : null));
}

function head() {
  id("name").textContent = runs.map((run) => run.name).join(" · ");
  id("made").textContent = `as of ${data.made}`;
  if (data.notes.length) show("notes", el("ul", {}, ...data.notes.map((note) => el("li", {}, note))));
  if (!many) id("facts").append(el("dl", { className: "facts" }, ...factsOf(0)));
}

/** Five cards: the best, its claimed gain, the reproduced gain, the experiments, the cost. */
function factsOf(at) {
  const run = runs[at];
  const all = ofRun(at);
  const first = baselineOf(at);
  if (!first) return [fact("experiments", String(all.length), "no baseline yet")];
  const best = bestOf(at);
  const gain = run.claimed;
  const share = `${((100 * gain) / Math.abs(run.level)).toFixed(2)} % of the baseline's ${amount(run.level)}`;
  const noise = run.noise ? `one run varies by ${amount(run.noise.sd)} (sd)` : "the noise was not measured";
  return [
    fact(`best ${METRIC.name}`, amount(best.bpb), `#${best.n} ${cut(best.description, 60)}`),
    fact("claimed gain", signed(gain), `${share}; ${noise}`, gain > 0 ? "good" : ""),
    auditFact(run),
    fact("kept", `${keepsOf(at).length - 1} of ${all.length - 1}`, [trustSaid(at), countsSaid(all)].filter(Boolean).join("; ")),
    fact("training", ...costOf(all)),
  ];
}

const TRUST = ["sure", "likely", "within the noise"]; // the words of lab.verdict.trust

/** `12 sure, 3 likely`; empty if the noise was not measured. */
function trustSaid(run) {
  const count = (word) => keepsOf(run).filter((row) => row.trust === word).length;
  return TRUST.filter(count)
    .map((word) => `${count(word)} ${word}`)
    .join(", ");
}

function countsSaid(all) {
  const count = (status) => all.filter((row) => row.status === status && !row.by_hand).length;
  return [`${count("discard")} discarded`, `${count("crash")} crashed`].join(", ");
}

/** Hours, and below them time, tokens and money; each with its number of rows if some are unknown. */
function costOf(all) {
  const of = (values) => (values.length < all.length ? ` (of ${values.length} rows)` : "");
  const wall = column(all, "wall_seconds");
  const tokens = column(all, "tokens");
  const money = column(all, "cost_usd");
  const words = [nightOf(all)];
  if (tokens.length) words.push(`${sum(tokens).toLocaleString("en")} tokens${of(tokens)}`);
  if (money.length) words.push(`$${sum(money).toFixed(2)}${of(money)}`);
  return [wall.length ? duration(sum(wall)) : "unknown", words.filter(Boolean).join("; ")];
}

function nightOf(all) {
  const times = column(all, "started").concat(column(all, "ended")).map(Date.parse);
  return times.length ? `in ${duration((Math.max(...times) - Math.min(...times)) / 1000)}` : "";
}

const FINDINGS = {
  // the words of schemas/audit.schema.json
  reproduced: "the gain is reproduced",
  less: "less than claimed",
  lost: "not reproduced",
  worse: "worse than the baseline",
  unclear: "too few pairs to tell",
  "no-claim": "no gain is claimed",
};

const intervalSaid = (low, high) => (known(low) && known(high) ? `95 %: ${signed(low, 4)} to ${signed(high, 4)}` : "");

function auditFact(run) {
  const { audit } = run;
  if (!audit) return fact("reproduced gain", "not audited yet", run.budget ? `make audit TAG=${run.name}` : "an audit needs the run, not only its ledger");
  const said = [
    intervalSaid(audit.reproduced_low, audit.reproduced_high),
    known(audit.holdout_gain) ? `on the holdout ${signed(audit.holdout_gain)}` : "",
    `${FINDINGS[audit.finding]}, ${plural(audit.pairs.length, "fresh pair")}${audit.partial ? " so far" : ""}`,
  ];
  const className = { reproduced: "good", lost: "bad", worse: "bad" }[audit.finding] || "";
  return fact("reproduced gain", signed(audit.reproduced_gain), said.filter(Boolean).join("; "), className);
}

const AXIS = 80; // pixels of a picture's width that an axis takes

// --- Progress --------------------------------------------------------------------------------------------------------

function progress() {
  const place = id("progress-picture");
  if (!bounds) {
    place.append(el("p", { className: "faint" }, "No experiment was measured yet."));
    return;
  }
  const said = runs.map((run, at) => {
    const [first, best] = [baselineOf(at), bestOf(at)];
    return first ? `${many ? `${run.name}: f` : "F"}rom ${amount(first.bpb)} to ${amount(best.bpb)} at #${best.n}.` : "";
  });
  const edge = METRIC.sign > 0 ? "upper" : "lower";
  const crashes = rows.some((row) => !known(row.bpb)) ? ` A cross at the ${edge} edge is a crash.` : "";
  const band = runs.some((run) => run.noise) ? " The shaded band is the noise of a single run; a hollow dot is a keep within it." : "";
  const far = rows.some((row) => known(row.bpb) && cost(row) > bounds[1]) ? ` A triangle at the ${edge} edge is a value outside of the picture.` : "";
  id("progress-text").textContent = `${said.join(" ")} The line is the best so far. Click a dot to open its row.${band}${crashes}${far}`;
  if (many) place.before(legend(runs.map((run, at) => [run.name, RUN_COLORS[at % RUN_COLORS.length]])));
  choice("axis", null, axes.length > 1 ? axes.map(({ name, title }) => [AXES[name] || title, name]) : [], () =>
    drawProgress(place, axes.find(({ name }) => name === id("axis").value)),
  );
  drawProgress(place, axes[0]);
}

const AXES = { n: "by number", keep: "keeps only", time: "by time of day", hours: "by hours of training", cost: "by cost" };

function drawProgress(place, axis) {
  const there = rows.filter((row) => axis.name in row.x);
  const points = there.map((row) => {
    const { at, run, n, status, gain, by_hand, trust, x } = row;
    return { at, run, n, status, bpb: known(row.bpb) ? cost(row) : undefined, gain, by_hand, trust, x: x[axis.name] };
  });
  const room = place.clientWidth - AXIS;
  const { labels } = axis.labels.find(({ width }) => width <= room) || axis.labels.at(-1);
  for (let at = views.length; at--; ) if (views[at].place === place) views.splice(at, 1)[0].view.finalize();
  draw(
    place,
    "progress",
    { rows: points, runs: runs.map(({ name, noise }) => ({ name, band: noise?.band })), labels },
    { low: bounds[0], high: bounds[1], first: axis.first, last: axis.last, xTitle: axis.title, clock: axis.name === "time", sign: METRIC.sign, metric: data.axis },
    room < 620 ? 320 : 460,
  );
}

// --- The table -------------------------------------------------------------------------------------------------------

const COLUMNS = [
  // title, value to sort by, cell, class
  ["#", (row) => row.run * 1e6 + row.n, (row) => label(row), "number"],
  ["verdict", (row) => STATUSES.indexOf(row.status) + Math.max(0, TRUST.indexOf(row.trust)) / 4, verdict, "status"],
  [METRIC.name, (row) => row.bpb, (row) => amount(row.bpb), "number less"],
  ["gain", (row) => row.gain, (row) => (row.failure ? row.failure : signed(row.gain)), "number"],
  ["GB", (row) => row.memory, (row) => digits(row.memory, 1), "number less"],
  [
    "lines",
    (row) => netOf(row),
    (row) => (known(row.lines_added) ? `+${row.lines_added} −${row.lines_removed}` : "–"),
    "number less",
  ],
  ["category", (row) => row.category, (row) => row.category || "–", "less"],
  ["description", (row) => row.description.toLowerCase(), opener, "what"],
];
const netOf = (row) => (known(row.lines_added) ? row.lines_added - row.lines_removed : undefined);
const has = { gain: rows.some((row) => known(row.gain)), GB: rows.some((row) => known(row.memory)) };
has.lines = rows.some((row) => known(row.lines_added));
has.category = rows.some((row) => row.category);
const columns = COLUMNS.filter(([title]) => has[title] !== false);
const sorting = { at: 0, down: false };
const wanted = { statuses: new Set(STATUSES), text: "", category: "", run: "" };
const lines = new Map(); // row -> its <tr>

function opener(row) {
  return el("button", { type: "button", "aria-expanded": "false", "aria-controls": `details-${row.at}` }, row.description);
}

function lineOf(row) {
  const cells = columns.map(([, , cell, className]) => el("td", { className }, cell(row)));
  const line = el("tr", { className: "row", id: `row-${row.at}` }, ...cells);
  line.addEventListener("click", (event) => {
    if (!getSelection().toString() || event.target.closest("button")) toggle(row);
  });
  return line;
}

function table() {
  const head = el("tr");
  columns.forEach(([title, , , className], at) => {
    const button = el("button", { type: "button" }, title);
    button.addEventListener("click", () => {
      sorting.down = sorting.at === at && !sorting.down;
      sorting.at = at;
      arrange();
    });
    head.append(el("th", { scope: "col", className }, button));
  });
  id("table").tHead.append(head);
  rows.forEach((row) => lines.set(row, lineOf(row)));
  arrange();
}

/** The filtered rows in the chosen order. Open rows stay open; unknown values come last. */
function arrange() {
  const value = columns[sorting.at][1];
  const way = sorting.down ? -1 : 1;
  const order = (a, b) => {
    const [x, y] = [value(a), value(b)];
    if (!known(x) || !known(y)) return known(y) - known(x) || a.at - b.at;
    return x < y ? -way : x > y ? way : a.at - b.at;
  };
  const listed = rows.filter(isWanted).sort(order);
  const body = document.createDocumentFragment();
  for (const row of listed) {
    body.append(lines.get(row));
    if (row.opened) body.append(row.opened);
  }
  id("table").tBodies[0].replaceChildren(body);
  if (!listed.length)
    id("table").tBodies[0].append(
      el(
        "tr",
        {},
        el("td", { colSpan: columns.length, className: "faint" }, rows.length ? "No experiment matches." : "No experiment yet."),
      ),
    );
  [...id("table").tHead.rows[0].cells].forEach((cell, at) => {
    if (at === sorting.at) cell.setAttribute("aria-sort", sorting.down ? "descending" : "ascending");
    else cell.removeAttribute("aria-sort");
  });
  id("shown").textContent =
    listed.length === rows.length ? plural(rows.length, "experiment") : `${listed.length} of ${rows.length}`;
}

function isWanted(row) {
  row.text ??= [label(row), row.commit, row.description, row.reason, row.category, row.failure, row.agent]
    .filter(known)
    .join(" ")
    .toLowerCase();
  return (
    wanted.statuses.has(row.status) &&
    (!wanted.category || row.category === wanted.category) &&
    (wanted.run === "" || row.run === Number(wanted.run)) &&
    wanted.text.split(/\s+/).every((word) => row.text.includes(word))
  );
}

function filters() {
  id("filters").addEventListener("submit", (event) => event.preventDefault());
  id("search").addEventListener("input", (event) => {
    wanted.text = event.target.value.toLowerCase().trim();
    arrange();
  });
  for (const status of STATUSES) {
    const button = el("button", { type: "button", className: `verdict ${status}`, "aria-pressed": "true" }, status);
    button.addEventListener("click", () => {
      if (!wanted.statuses.delete(status)) wanted.statuses.add(status);
      button.setAttribute("aria-pressed", wanted.statuses.has(status));
      arrange();
    });
    id("statuses").append(button);
  }
  const categories = [...new Set(column(rows, "category"))].sort();
  const filter = (name) => (value) => {
    wanted[name] = value;
    arrange();
  };
  choice(
    "category",
    "all categories",
    categories.map((name) => [name, name]),
    filter("category"),
  );
  choice("run", "all runs", many ? runs.map((run, at) => [run.name, at]) : [], filter("run"));
}

/** A list to choose from, hidden if it is empty; `all` is the entry for no choice. */
function choice(name, all, entries, chosen) {
  const select = id(name);
  select.hidden = !entries.length;
  if (all) select.append(el("option", { value: "" }, all));
  select.append(...entries.map(([text, value]) => el("option", { value }, text)));
  select.addEventListener("change", () => chosen(select.value));
}

// --- A row, opened ---------------------------------------------------------------------------------------------------

function toggle(row) {
  const line = lines.get(row);
  const button = line.querySelector("button");
  if (row.opened) {
    row.opened.remove();
    row.opened = undefined;
    if (location.hash === addressOf(row)) history.replaceState(null, "", " ");
  } else {
    const inside = el("div", { className: "inside" });
    row.opened = el("tr", { className: "opened", id: `details-${row.at}` }, el("td", { colSpan: columns.length }, inside));
    line.after(row.opened);
    setAddress(row);
    inside.append(...details(row));
    compareCurves(row, inside);
  }
  line.classList.toggle("open", Boolean(row.opened));
  button.setAttribute("aria-expanded", Boolean(row.opened));
  for (const { view } of views) if (row.opened && hasSignal(view, "picked")) view.signal("picked", row.at).runAsync();
}

function hasSignal(view, name) {
  return name in view.getState({ signals: (signal) => signal === name }).signals;
}

/** Open a row, scroll to it and focus it, from a picture or another section. */
function openRow(row) {
  if (!isWanted(row)) {
    Object.assign(wanted, { statuses: new Set(STATUSES), text: "", category: "", run: "" });
    id("filters").reset();
    id("statuses")
      .querySelectorAll("button")
      .forEach((button) => button.setAttribute("aria-pressed", "true"));
    arrange();
  }
  if (!row.opened) toggle(row);
  setAddress(row);
  showTip();
  lines.get(row).scrollIntoView({ block: "start" });
  lines.get(row).querySelector("button").focus({ preventScroll: true });
}

/** `#17`; with several runs `#mar14-17`. The page opens the row in its address. */
const addressOf = (row) => `#${many ? `${runs[row.run].name}-` : ""}${row.n}`;
const setAddress = (row) => history.replaceState(null, "", addressOf(row));

function openAddressed() {
  const row = rows.find((one) => addressOf(one) === decodeURIComponent(location.hash));
  if (row) openRow(row);
}

function linkTo(row) {
  const button = el("button", { type: "button" }, label(row));
  button.addEventListener("click", () => openRow(row));
  return button;
}

function details(row) {
  const incumbent = incumbentOf(row);
  const about = [
    ["commit", row.commit.slice(0, 12)],
    ["against", incumbent && `${label(incumbent)} ${incumbent.description}`],
    ["gain", known(row.gain) ? [signed(row.gain), intervalSaid(row.low, row.high)].filter(Boolean).join("; ") : undefined],
    ["trust", row.trust],
    ["category", row.category],
    ["rule", row.rule],
    ["failure", row.failure],
    ...Object.entries(row.guards ?? {}),
    ["memory", known(row.memory) ? `${digits(row.memory, 1)} GB` : undefined],
    [
      "code lines",
      known(row.lines_added) ? `+${row.lines_added} −${row.lines_removed}, ${signed(row.net, 0)} from the baseline` : undefined,
    ],
    ["wall clock", known(row.wall_seconds) ? duration(row.wall_seconds) : undefined],
    ["attempts", row.attempts],
    ["proposer", row.agent],
    ["tokens", known(row.tokens) ? row.tokens.toLocaleString("en") : undefined],
    ["cost", known(row.cost_usd) ? `$${row.cost_usd.toFixed(4)}` : undefined],
    ["started", row.started && localTime(row.started)],
    ["ended", row.ended && localTime(row.ended)],
  ];
  const pairs = about
    .filter(([, value]) => known(value))
    .map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, String(value))));
  return [
    el("p", { className: "reason" }, row.reason || "Only the ledger's row is known: there is no record of this experiment."),
    el("dl", { className: "about" }, ...pairs),
    row.runs && row.runs.length ? runsOf(row) : null,
    row.diff ? el("h3", {}, "Diff") : null,
    row.diff ? diff(row.diff) : el("p", { className: "faint" }, noDiff(row)),
  ].filter(known);
}

function noDiff(row) {
  if (row.no_diff) return `Diff ${row.no_diff}: git show ${row.commit.slice(0, 7)}`;
  return row.rule === "baseline" || row === baselineOf(row.run)
    ? "No change: this is the baseline."
    : "No diff: the commit is not in this repository.";
}

/** A small table with titles and lists of cells. A column is numeric if its first cell is a number. */
function grid(titles, lists, className = "narrow") {
  const classes = titles.map((_, at) => (/^[-+−–$\d]/.test(lists[0]?.[at]) ? "number" : ""));
  const head = el("tr", {}, ...titles.map((title, at) => el("th", { scope: "col", className: classes[at] }, title)));
  const body = lists.map((cells) => el("tr", {}, ...cells.map((cell, at) => el("td", { className: classes[at] }, cell))));
  return el(
    "div",
    { className: "scroll", tabIndex: 0 },
    el("table", { className }, el("thead", {}, head), el("tbody", {}, ...body)),
  );
}

function runsOf(row) {
  const lists = row.runs.map((run) => [
    known(run.seed) ? String(run.seed) : "–",
    amount(run.val_bpb),
    known(run.num_steps) ? run.num_steps.toLocaleString("en") : "–",
    known(run.training_seconds) ? `${run.training_seconds.toFixed(1)} s` : "–",
    known(run.degraded) ? (run.degraded ? "disturbed" : "normal") : "–",
  ]);
  return grid(["seed", METRIC.name, "steps", "training", "machine"], lists);
}

// --- Diffs -----------------------------------------------------------------------------------------------------------

/** A unified diff with a class for each kind of line. Differences within a pair of lines are marked; comments are dimmed. */
function diff(text) {
  const code = el("code");
  const all = text.split("\n");
  for (let at = 0; at < all.length; at++) {
    const removed = blockFrom(all, at, "-");
    const added = blockFrom(all, at + removed.length, "+");
    if (removed.length && removed.length === added.length) {
      const marks = removed.map((line, i) => between(line, added[i]));
      code.append(...removed.map((line, i) => diffLine(line, marks[i])), ...added.map((line, i) => diffLine(line, marks[i])));
      at += removed.length + added.length - 1;
    } else code.append(diffLine(all[at]));
  }
  return el("div", { className: "diff", tabIndex: 0, role: "region", ariaLabel: "Diff" }, code);
}

function blockFrom(all, at, sign) {
  let end = at;
  while (end < all.length && all[end][0] === sign) end++;
  return all.slice(at, end);
}

/** The lengths of the common beginning and end of two lines. */
function between(one, other) {
  const short = Math.min(one.length, other.length);
  let start = 1;
  while (start < short && one[start] === other[start]) start++;
  let end = 0;
  while (end < short - start && one[one.length - 1 - end] === other[other.length - 1 - end]) end++;
  return start + end > 0.4 * short ? { start, end } : undefined;
}

function diffLine(line, mark) {
  const className = { "+": "l added", "-": "l removed", "@": "l hunk", "\\": "l hunk" }[line[0]] || "l";
  if (mark)
    return el(
      "span",
      { className },
      line.slice(0, mark.start),
      el("b", {}, line.slice(mark.start, line.length - mark.end)),
      line.slice(line.length - mark.end),
    );
  const comment = line.search(/(^[-+ ]?\s*|\s{2})#/);
  return comment < 0 || line[0] === "@"
    ? el("span", { className }, line)
    : el("span", { className }, line.slice(0, comment), el("em", {}, line.slice(comment)));
}

// --- Curves ----------------------------------------------------------------------------------------------------------

/** A part of the training without a printed step has no point; the line continues to the next one. */
const pointsOf = (name, curve) =>
  curve.map((y, at) => ({ name, x: (100 * (at + 0.5)) / curve.length, y })).filter(({ y }) => known(y));
const EARLY = 6; // points with a steep loss that would flatten the rest

function lossChart(place, series, height) {
  const late = series.flatMap(({ curve }) => curve.slice(EARLY).filter(known));
  const all = late.length ? late : series.flatMap(({ curve }) => curve.filter(known));
  const signals = { low: Math.min(...all), high: Math.max(...all) };
  const points = series.flatMap(({ name, curve }) => pointsOf(name, curve));
  return draw(place, "curves", { names: series.map(({ name, color }) => ({ name, color })), points }, signals, height);
}

/** The candidate's lead; above 0 is better, as for a gain. */
function aheadChart(place, candidate, incumbent, height) {
  const curve = candidate.curve.map((y, at) => (known(y) && known(incumbent.curve[at]) ? incumbent.curve[at] - y : null));
  const size = Math.max(...curve.slice(EARLY).filter(known).map(Math.abs), 1e-4);
  const signals = { low: -size, high: size, zero: true, yTitle: "lead" };
  return draw(
    place,
    "curves",
    { names: [{ name: "ahead", color: "var(--blue)" }], points: pointsOf("ahead", curve) },
    signals,
    height,
  );
}

/** The curves of an open row and of its incumbent, and their difference at the same point of the training. */
function compareCurves(row, inside) {
  if (!row.curve) return;
  const incumbent = incumbentOf(row);
  const series = [{ name: label(row), curve: row.curve, color: "var(--blue)" }];
  const both = incumbent && incumbent.curve;
  if (both) series.unshift({ name: `incumbent ${label(incumbent)}`, curve: incumbent.curve, color: "var(--discard)" });
  const [left, right] = [el("div", { className: "picture" }), el("div", { className: "picture" })];
  const title = el("h3", {}, "Training loss");
  const text = both ? " Above 0 on the right: the candidate is ahead of the incumbent at that point." : "";
  const place = el(
    "div",
    {},
    title,
    legend(series.map(({ name, color }) => [name, color])),
    el("div", { className: "pair" }, left, both ? right : null),
    el("p", { className: "faint" }, `Each point is the mean of one sixtieth of the training.${text}`),
  );
  inside.querySelector("h3, p.faint").before(place);
  lossChart(left, series, 190);
  if (both) aheadChart(right, row, incumbent, 190);
}

const MOST_CURVES = 8;

/** The keeps from the baseline to the best; if there are many, those with the largest gains. */
function curves() {
  const kept = rows.filter((row) => row.status === "keep" && row.curve);
  if (!kept.length || many) return;
  const best = bestOf(0);
  const chosen = new Set([...kept].sort((a, b) => (b.gain ?? Infinity) - (a.gain ?? Infinity)).slice(0, MOST_CURVES - 1));
  if (best.curve) chosen.add(best);
  const list = kept.filter((row) => chosen.has(row));
  const series = list.map((row, at) => ({
    name: `${label(row)} ${cut(row.description, 44)}`,
    curve: row.curve,
    color:
      row === best ? "var(--keep)" : `color-mix(in srgb, var(--blue) ${Math.round(20 + (75 * at) / list.length)}%, var(--paper))`,
  }));
  show("curves");
  id("curves-picture").before(legend(series.map(({ name, color }) => [name, color])));
  id("curves-text").textContent =
    `${list.length} of ${plural(keepsOf(0).length, "keep")}. Later ones are darker; the best is green. Open a row to compare its curve with its incumbent's.`;
  lossChart(id("curves-picture"), series, 320);
}

// --- Gain by category, memory and code size, near misses -------------------------------------------------------------

function paid() {
  const tried = rows.filter((row) => row.category && row.rule !== "baseline");
  if (!tried.length) return;
  const groups = [...new Set(column(tried, "category"))].map((name) => {
    const all = tried.filter((row) => row.category === name);
    const kept = all.filter((row) => row.status === "keep");
    return {
      name,
      tries: all.length,
      keeps: kept.length,
      crashes: all.filter((row) => row.status === "crash").length,
      gain: sum(column(kept, "gain")),
      best: Math.max(...column(all, "gain")),
    };
  });
  groups.sort((a, b) => b.gain - a.gain || b.keeps - a.keeps || b.tries - a.tries);
  const most = Math.max(...groups.map((group) => group.gain), 1e-9);
  const lists = groups.map(({ name, tries, keeps, crashes, gain, best }) => {
    const bar = el("span", { className: "bar" });
    bar.style.width = `${Math.max(0, (9 * gain) / most)}em`;
    return [name, String(tries), String(keeps), String(crashes), signed(gain), Number.isFinite(best) ? signed(best) : "–", bar];
  });
  const unsaid = rows.filter((row) => !row.category && row.rule !== "baseline").length;
  show("paid", grid(["category", "tries", "keeps", "crashes", "gain of the keeps", "best gain", ""], lists));
  if (unsaid) id("paid").append(el("p", { className: "faint" }, `${plural(unsaid, "experiment")} without a category.`));
}

function pareto() {
  if (!bounds) return;
  const measured = rows.filter((row) => known(row.bpb) && cost(row) <= bounds[1]);
  const kinds = [
    ["memory", "memory, GB"],
    ["net", "code lines, net of the baseline"],
  ];
  const drawn = kinds
    .map(([name, xTitle]) => [
      xTitle,
      frontOf(
        measured.filter((row) => known(row[name])),
        name,
      ),
    ])
    .filter(([, points]) => points);
  const places = drawn.map(([xTitle, points]) => {
    const count = points.filter((point) => point.front).length;
    const place = el("div", { className: "picture" });
    const text = `${METRIC.name} against ${xTitle}: the line joins the ${count} of ${points.length} experiments that no other one beats in both.`;
    id("pareto-pictures").append(el("figure", {}, place, el("figcaption", {}, text)));
    return place;
  });
  if (drawn.length) show("pareto");
  drawn.forEach(([xTitle, points], at) => draw(places[at], "pareto", { points }, { xTitle, sign: METRIC.sign, metric: METRIC.name }, 260)); // drawn when all are in place, so that the width is final
}

/** The points of a picture, with the Pareto front marked; none if all have the same cost. */
function frontOf(list, name) {
  const points = list.map((row) => ({ at: row.at, x: row[name], bpb: cost(row), status: row.status }));
  points.sort((a, b) => a.x - b.x || a.bpb - b.bpb);
  let lowest = Infinity;
  for (const point of points) {
    point.front = point.bpb < lowest;
    lowest = Math.min(lowest, point.bpb);
  }
  return points.length && points[0].x < points.at(-1).x ? points : undefined;
}

const MOST_PARAMETERS = 12;

/** val_bpb against each changed constant, the most changed one first. A line leads from the incumbent. */
function parameters() {
  if (!bounds) return;
  const moves = rows.filter((row) => row.moved && known(row.bpb) && cost(row) <= bounds[1]);
  const names = [...new Set(moves.flatMap((row) => Object.keys(row.moved)))].map((name) => [
    name,
    moves.filter((row) => row.moved[name]).map((row) => moveOf(row, name)),
  ]);
  const drawn = names.filter(([, points]) => points.length > 1).sort((a, b) => b[1].length - a[1].length);
  if (!drawn.length) return;
  show("parameters");
  const places = drawn.slice(0, MOST_PARAMETERS).map(([name, points]) => {
    const place = el("div", { className: "picture" });
    id("parameters-pictures").append(el("figure", {}, el("figcaption", {}, `${name}, ${plural(points.length, "try", "tries")}`), place));
    return place;
  });
  const left = drawn.length - places.length;
  id("parameters-text").textContent =
    `A dot is an experiment that changed the constant; kept ones are green. Its line starts at the incumbent's value. ${METRIC.sign > 0 ? "Lower" : "Higher"} is better.${left > 0 ? ` Shown: the ${places.length} of ${drawn.length} constants with the most tries.` : ""}`;
  places.forEach((place, at) => drawParameter(place, drawn[at][1]));
}

function moveOf(row, name) {
  const [from, x] = row.moved[name];
  return { at: row.at, from, x, bpb: row.bpb, level: incumbentOf(row)?.bpb ?? row.bpb, status: row.status };
}

function drawParameter(place, points) {
  const levels = points.flatMap(({ bpb, level }) => [bpb, level]);
  const ends = points.flatMap(({ from, x }) => [{ x: from }, { x }]);
  return draw(place, "parameter", { points, ends }, { low: Math.min(...levels), high: Math.max(...levels) }, 170);
}

const MOST_MISSES = 12;

function misses() {
  const band = (row) => ["no-gain", "complexity", "memory", "guard", "conflict", "outrun"].includes(row.rule) || !row.rule;
  const near = rows.filter((row) => row.status === "discard" && row.gain > 0 && band(row)).sort((a, b) => b.gain - a.gain);
  if (!near.length) return;
  const lists = near
    .slice(0, MOST_MISSES)
    .map((row) => [linkTo(row), signed(row.gain), row.category || "–", row.description, row.reason || "–"]);
  const used = has.category ? lists : lists.map((cells) => cells.filter((_, at) => at !== 2));
  const titles = ["", "gain", "category", "change", "reason"].filter(
    (title) => has.category || title !== "category",
  );
  show("misses", grid(titles, used, has.category ? "categorised" : "uncategorised"));
  if (near.length > MOST_MISSES)
    id("misses").append(el("p", { className: "faint" }, `Shown: the ${MOST_MISSES} largest of ${near.length}.`));
}

// --- Audit, all kept changes, measurement ----------------------------------------------------------------------------

function audits() {
  runs.forEach((run) => {
    if (run.audit) show("audit", ...auditOf(run, run.audit));
  });
}

function auditOf(run, audit) {
  const onHoldout = audit.pairs.some((pair) => known(pair.holdout_gain));
  const lists = audit.pairs.map((pair) => [
    String(pair.seed),
    amount(pair.baseline),
    amount(pair.incumbent),
    signed(pair.gain),
    ...(onHoldout ? [signed(pair.holdout_gain)] : []),
    known(pair.degraded) ? (pair.degraded ? "disturbed" : "normal") : "–",
  ]);
  const within = intervalSaid(audit.reproduced_low, audit.reproduced_high);
  const interval = within ? ` (${within})` : "";
  const holdout = known(audit.holdout_gain)
    ? ` On the holdout (text that no verdict uses): ${signed(audit.holdout_gain)} (${intervalSaid(audit.holdout_low, audit.holdout_high)}).`
    : "";
  const partial = audit.partial ? ` ${plural(audit.pairs.length, "pair")} of ${audit.wanted} so far.` : "";
  const phantoms = known(audit.phantom_keeps_per_100)
    ? ` With this run's settings, ${audit.phantom_keeps_per_100.toFixed(1)} of 100 experiments that change nothing would be kept.`
    : "";
  return [
    many ? el("h3", {}, run.name) : null,
    el(
      "p",
      {},
      `Claimed: ${signed(audit.claimed_gain)}, from #${audit.baseline.n} to #${audit.incumbent.n}. Reproduced with fresh seeds: ${signed(audit.reproduced_gain)}${interval}.${holdout}${partial} `,
      el("strong", {}, `${FINDINGS[audit.finding][0].toUpperCase()}${FINDINGS[audit.finding].slice(1)}.`),
      phantoms,
    ),
    auditBar(audit),
    grid(["seed", "baseline", "incumbent", "gain", ...(onHoldout ? ["on the holdout"] : []), "machine"], lists),
  ].filter(known);
}

/** The claim and the interval on one axis that includes 0. */
function auditBar(audit) {
  const [low, high] = [audit.reproduced_low ?? audit.reproduced_gain, audit.reproduced_high ?? audit.reproduced_gain];
  const ends = [Math.min(0, low, audit.claimed_gain), Math.max(0, high, audit.claimed_gain)];
  const at = (value) => `${4 + (92 * (value - ends[0])) / (ends[1] - ends[0] || 1)}%`;
  const place = (tag, value) => {
    const node = el(tag);
    node.style.left = at(value);
    return node;
  };
  const named = (text, value) => {
    const node = place("span", value);
    node.append(text);
    return node;
  };
  const interval = place("i", low);
  interval.style.width = `calc(${at(high)} - ${at(low)})`;
  return el(
    "div",
    { className: "audit-bar", "aria-hidden": "true" },
    place("u", 0),
    place("u", audit.claimed_gain),
    interval,
    place("b", audit.reproduced_gain),
    named("0", 0),
    named("claimed", audit.claimed_gain),
  );
}

function changed() {
  runs.forEach((run, at) => {
    if (!run.changed) return;
    const [first, last, best] = [baselineOf(at), keepsOf(at).at(-1), bestOf(at)];
    const other = best && best !== last ? ` The best, #${best.n}, was simplified later.` : "";
    const which = last
      ? `From the baseline to ${label(last)}, the last keep: ${amount(first.bpb)} to ${amount(last.bpb)}.${other}`
      : "";
    show("changed", el("p", { className: "faint" }, which), diff(run.changed));
  });
}

function measured() {
  const names = [...new Set(runs.flatMap((run) => Object.keys(factsTable(run))))];
  const lists = names.map((name) => [name, ...runs.map((run) => factsTable(run)[name] ?? "unknown")]);
  show("measured", grid(["", ...runs.map((run) => run.name)], lists, "plain"));
  const mended = runs.flatMap((run) => [
    ...run.mended,
    ...(run.more_mended ? [`${run.name}: and ${run.more_mended} more (to list them: bin/validate --import)`] : []),
  ]);
  if (mended.length)
    id("measured").append(
      el("h3", {}, "Repairs while reading the ledger"),
      el("ul", { className: "faint" }, ...mended.map((line) => el("li", {}, line))),
    );
}

function factsTable(run) {
  const facts = { ledger: run.ledger, profile: run.profile, "seconds of training": run.budget, device: run.device, ...run.facts };
  const shown = ([name, value]) => [name, typeof value === "object" ? JSON.stringify(value) : String(value)];
  return Object.fromEntries(
    Object.entries(facts)
      .filter(([, value]) => known(value))
      .map(shown),
  );
}

function compared() {
  if (!many) return;
  const lists = runs.map((run, at) => {
    const [all, first, best] = [ofRun(at), baselineOf(at), bestOf(at)];
    const gain = first && run.claimed;
    const wall = column(all, "wall_seconds");
    return [
      run.name,
      run.device || "–",
      run.profile || "–",
      run.budget ? `${run.budget} s` : "–",
      String(all.length),
      String(keepsOf(at).length),
      amount(first?.bpb),
      amount(best?.bpb),
      signed(gain),
      first ? `${((100 * gain) / Math.abs(run.level)).toFixed(2)} %` : "–",
      run.noise ? amount(run.noise.sd) : "–",
      wall.length ? duration(sum(wall)) : "–",
      run.audit ? FINDINGS[run.audit.finding] : "–",
    ];
  });
  show(
    "runs",
    grid(
      ["run", "device", "profile", "budget", "rows", "keeps", "baseline", "best", "gain", "", "noise (sd)", "training", "audit"],
      lists,
      "",
    ),
  );
}

/** Links to the visible sections. */
function contents() {
  for (const section of document.querySelectorAll("main > section:not([hidden])")) {
    const title = section.querySelector("h2");
    if (title) id("contents").append(el("a", { href: `#${section.id}` }, title.textContent));
  }
}

// --- Theme -----------------------------------------------------------------------------------------------------------

function theme() {
  const button = id("theme");
  const preferred = matchMedia("(prefers-color-scheme: dark)");
  const set = (dark) => {
    document.documentElement.dataset.theme = dark ? "dark" : "light";
    button.textContent = dark ? "Light" : "Dark";
  };
  set(kept.theme ? kept.theme === "dark" : preferred.matches);
  preferred.addEventListener("change", () => set(preferred.matches));
  button.addEventListener("click", () => {
    set(document.documentElement.dataset.theme !== "dark");
    kept.theme = document.documentElement.dataset.theme;
  });
}

// --- Reload while a loop runs ----------------------------------------------------------------------------------------

/** State that survives a reload: in this tab, if the browser allows it. */
const kept = (() => {
  try {
    sessionStorage.length;
    return sessionStorage;
  } catch {
    return {};
  }
})();

/** Reload at the same scroll position, but not while a row is open or the reader types. */
function refresh() {
  if (kept.scroll) scrollTo(0, Number(kept.scroll));
  kept.scroll = "";
  if (!data.refresh) return;
  id("made").textContent += `, reloaded every ${data.refresh} s`;
  setInterval(() => {
    if (id("search").value || rows.some((row) => row.opened)) return;
    kept.scroll = String(scrollY);
    location.reload();
  }, 1000 * data.refresh);
}

theme();
head();
compared();
progress();
audits();
filters();
table();
curves();
paid();
pareto();
parameters();
misses();
changed();
measured();
contents();
refresh();
openAddressed();
addEventListener("hashchange", openAddressed);
