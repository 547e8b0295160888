// The explorer: one state, every view of it, and the host on the other side (a notebook's kernel, or a page).
import { defaults, measures } from "./generated.js";
import { html, shown, toggle, write } from "./dom.js";
import { lessons, sliders, toolbar } from "./controls.js";
import { asPng, asSvg, download } from "./export.js";
import { help } from "./help.js";
import { history } from "./history.js";
import { listener } from "./host.js";
import { map } from "./map.js";
import { cloud, means } from "./means.js";
import { keyed, stepped, tipMoved, xMoved } from "./moves.js";
import { parabolas } from "./parabolas.js";
import { plane } from "./plane.js";
import { populated } from "./population.js";
import { evaluated, momentsOf, same, tipOf } from "./state.js";
import { table } from "./table.js";
import { theme } from "./theme.js";

const TITLES = {
  picture: "The plane of x and x̂",
  numbers: "Every measure",
  losses: "Two losses, two minima",
  where: "The map of (ρ, r)",
};
const RESTED = 200; // ms after which a movement from outside is over, and can be undone as one
const READING = 150; // ms between two updates of what is read rather than watched: typed values, names, means

// What anywidget calls, and the page: `model` has get, set, on, off, save_changes, send; the answer cleans up.
export function render({ model, el }) {
  const over = new AbortController();
  const { signal } = over;
  const root = html("div", { class: "shrinkage-explorer", "data-lm-suppress-shortcuts": "true" });
  const points = () => way.drawSaes(host.saes());
  const host = listener(model, { receive, points, silent: (words) => write(silence, words) }, signal);
  const start = host.state();
  let state = start.good;
  let before = null; // the population of the last frame, whose arrays are used again
  let asked = 0;
  let later = 0;
  let resting = 0;
  let frames = 0;
  let followed = 0; // how many there were when what is read was last brought up to date
  let scene = null; // what the last frame showed
  let colours = {};
  const past = history(state);

  const act = {
    state: () => state,
    set(patch) {
      state = { ...state, ...patch };
      act.veil(false);
      lesson.leave();
      host.changed(state);
      soon();
    },
    commit() {
      past.commit(state);
      host.settled(state);
      tell();
    },
    say(words, wrong = false) {
      write(status, words);
      status.classList.toggle("wrong", wrong);
    },
    veil: (on) => root.classList.toggle("veiled", on),
    preset(preset) {
      way.forget();
      act.set({ ...preset.state, measure: state.measure });
      lesson.choose(preset);
      act.commit();
    },
    step(name, by, fine) {
      act.set(stepped(state, name, by, fine));
      act.commit();
    },
    key(handle, direction, fine) {
      act.set(keyed(state, handle, direction, fine));
      act.commit();
    },
    moveTip(point) {
      if (state.norm_x) act.set(tipMoved(state, point));
      else act.say("x is zero, so x̂ has no length to be measured in: lengthen x first", true);
    },
    moveX: (u) => act.set(xMoved(state, u)),
    colour: (name) => (colours[name] ??= getComputedStyle(root).getPropertyValue(name)),
  };

  const view = plane(act, signal);
  const dots = cloud(act);
  const curves = parabolas();
  const way = map(act, signal);
  const list = table();
  const average = means();
  const turn = sliders(act, signal, false);
  const spread = sliders(act, signal, true);
  const lesson = lessons(act, signal);
  const bar = toolbar(
    {
      undo: { label: "Undo", run: () => travel(-1) },
      redo: { label: "Redo", run: () => travel(1) },
      reset: { label: "Reset", run: reset },
      ...(model.link ? { link: { label: "Copy link", run: copyLink } } : {}),
      svg: { label: "SVG", run: () => save("svg") },
      png: { label: "PNG", run: () => save("png") },
    },
    signal,
  );
  const status = html("p", { class: "status", role: "status" });
  const silence = html("p", { class: "status silence", role: "status" });
  const quiet = html("p", { class: "spoken", role: "status" });
  const many = html("input", { type: "checkbox", name: "population" });
  const choice = html("select", { name: "measure", "aria-label": "measure shown in the map" });
  choice.append(...Object.entries(measures).map(([key, { plain }]) => html("option", { value: key }, `${plain}  ${key.replaceAll("_", " ")}`)));
  const split = html("p", { class: "split" });
  const parts = ["relative_loss", "angle_loss", "length_loss"].map((key) => html("data", { class: key }));
  split.append("relative loss ", parts[0], " = angle ", parts[1], " + length ", parts[2]);
  const divide = ({ values }) => {
    for (const data of parts) write(data, values[data.className].value === null ? "–" : shown(values[data.className].value));
  };
  build();

  many.addEventListener("change", () => (act.set({ population: many.checked }), act.commit()), { signal });
  choice.addEventListener("change", () => (act.set({ measure: choice.value }), act.commit()), { signal });
  root.addEventListener("keydown", keys, { signal });
  const look = theme(root, signal, () => {
    colours = {};
    soon();
  });
  signal.addEventListener("abort", () => {
    cancelAnimationFrame(asked);
    clearTimeout(later);
    clearTimeout(resting);
  });
  const resized = new ResizeObserver(layout);
  signal.addEventListener("abort", () => resized.disconnect());
  resized.observe(root);
  layout();
  if (start.wrong.length) act.say(start.wrong.join("; "), true);

  function build() {
    const section = (name, title, ...nodes) => html("section", { class: name }, html("h3", {}, title), ...nodes);
    const canvas = html("div", { class: "stack" }, dots.node, view.node);
    const legend = html("p", { class: "legend" });
    legend.innerHTML =
      '<i class="scale_x"></i>E‖x̂ − s·x‖², least at s = c/a <i class="scale_x_hat"></i>E‖s·x̂ − x‖², least at s = c/b ' +
      '<i class="dashed"></i>the reciprocal of each, the other’s minimum only if ρ² = 1';
    root.append(
      html("header", {}, lesson.node, bar.node),
      status,
      silence,
      quiet,
      html(
        "div",
        { class: "panels" },
        section("picture", TITLES.picture, canvas, split, turn.node),
        section("numbers", TITLES.numbers, list.node),
        section("losses", TITLES.losses, curves.node, legend),
        section("where", TITLES.where, html("label", { class: "choice" }, "level curves of ", choice), way.node),
        html("section", { class: "population" }, html("label", {}, many, " A population of pairs"), spread.node, average.node),
      ),
      help(),
    );
    el.style.width = "100%"; // beside others in a row it would have no width of its own
    el.append(root);
  }

  function layout() {
    const width = (node) => Math.floor(node.parentElement.clientWidth);
    if (!width(view.node)) return; // in a hidden tab; its turn comes when it is shown
    dots.layout(view.layout(width(view.node)));
    curves.layout(width(curves.node));
    way.layout(width(way.node));
    points();
    look();
    detail();
  }

  // A frame draws what is watched; what is read (formulas, typed values, names) follows some frames later.
  function soon() {
    asked ||= requestAnimationFrame(() => {
      asked = 0;
      draw();
    });
    later ||= setTimeout(follow, READING);
  }

  // While frames are drawn only the small things follow; the rest does once they have ended.
  function follow() {
    if (followed === frames) return detail();
    followed = frames;
    later = setTimeout(follow, READING);
    read(scene);
  }

  function read(now) {
    for (const one of [turn, way, view]) one.detail(now);
    if (now.population) for (const one of [spread, average]) one.detail(now);
  }

  function detail() {
    clearTimeout(later);
    later = 0;
    draw(true);
    read(scene);
    list.detail(scene);
    for (const [name, by] of [["undo", -1], ["redo", 1]]) bar.enable(name, past.can(by));
    return scene;
  }

  function draw(all = false) {
    const moments = momentsOf(state);
    const population = state.population ? (before = populated(state, before)) : null;
    const now = population ? population.means : moments;
    const values = Object.fromEntries(Object.entries(measures).map(([key, measure]) => [key, evaluated(measure, now)]));
    scene = { state, moments: now, values, population, x: [state.norm_x, 0], tip: tipOf(state) };
    if (population && values.scale_x.value !== null) {
      // In lengths of x, as the loci are.
      const [along, length] = [values.scale_x.value, values.norm_ratio.value];
      scene.pooledTip = [along, Math.sqrt(Math.max(length ** 2 - along ** 2, 0))].map((part) => part * state.norm_x);
    }
    // What the hand may hold is drawn in every frame; of the rest, every second frame draws one half.
    frames += 1;
    for (const one of [view, way]) one.draw(scene);
    if (all || frames % 2) for (const one of [curves, turn]) one.draw(scene);
    if (all || frames % 2 === 0) {
      list.draw(scene);
      divide(scene);
    }
    dots.draw(scene, view.toView);
    for (const node of [spread.node, average.node]) toggle(node, state.population);
    if (population) spread.draw(scene);
    if (many.checked !== state.population) many.checked = state.population;
    if (choice.value !== state.measure) choice.value = state.measure;
  }

  // From Python, from a linked slider, or from the page's address: never while it is our own echo.
  function receive(settings, wrong) {
    if (wrong.length) act.say(wrong.join("; "), true);
    const next = { ...state, ...settings };
    if (same(next, state)) return;
    state = next;
    lesson.choose(null);
    clearTimeout(resting);
    resting = setTimeout(() => {
      past.commit(state);
      detail();
    }, RESTED);
    soon();
  }

  function travel(by) {
    const next = past.move(by);
    if (!next) return;
    state = next;
    way.forget();
    host.changed(state);
    host.settled(state);
    lesson.choose(null);
    soon();
    tell();
  }

  function reset() {
    way.forget();
    act.set({ ...defaults, measure: state.measure });
    act.commit();
    lesson.choose(null);
  }

  function keys(event) {
    event.stopPropagation(); // a notebook would take them for its own
    const control = event.ctrlKey || event.metaKey;
    const typing = event.target.matches("input[type=number]");
    if (control && !typing && event.key.toLowerCase() === "z") {
      event.preventDefault();
      travel(event.shiftKey ? 1 : -1);
    } else if (event.key === "Home" && !event.target.matches("input[type=number], select")) {
      event.preventDefault();
      reset();
    }
  }

  // What a screen reader is told once a movement has ended.
  function tell() {
    const { values } = detail();
    act.say("");
    write(quiet, root.classList.contains("veiled") ? "" : summary(values));
  }

  function summary(values) {
    const parts = ["relative_reconstruction_bias", "scale_x", "scale_x_hat"].map((key) => {
      const { value, reason } = values[key];
      return `${measures[key].plain} ${value === null ? `undefined: ${reason}` : shown(value)}`;
    });
    return `angle ${shown(state.angle, 1)}°, norm ratio ${shown(state.norm_ratio)}; ${parts.join("; ")}`;
  }

  async function copyLink() {
    const link = model.link(state);
    try {
      await navigator.clipboard.writeText(link);
      const here = /^(127\.|localhost|$)/.test(location.hostname);
      act.say(`The link to this state is copied${here ? ": it leads to the page on this machine" : ""}.`);
    } catch {
      act.say(`The link to this state: ${link}`);
    }
  }

  async function save(kind) {
    const style = getComputedStyle(root);
    const panels = [
      { title: TITLES.picture, layers: [dots.node, view.node] },
      { title: TITLES.losses, layers: [curves.node] },
      { title: `${TITLES.where}: level curves of ${measures[state.measure].plain}`, layers: way.pictures },
    ];
    const veiled = root.classList.contains("veiled");
    const caption = veiled ? `angle ${shown(state.angle, 1)}°, norm ratio ${shown(state.norm_ratio)}` : summary(detail().values);
    const text = asSvg(panels, style.getPropertyValue("--paper"), style.color, caption);
    const blob = kind === "svg" ? new Blob([text], { type: "image/svg+xml" }) : await asPng(text);
    download(blob, `shrinkage.${kind}`);
    act.say(`Saved as shrinkage.${kind}.`);
  }

  return () => {
    over.abort();
    root.remove();
  };
}

export default { render };
