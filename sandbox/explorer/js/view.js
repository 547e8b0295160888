// Everything the explorer shows: its panels, messages and saved files.
import { measures } from "./generated.js";
import { aside, lessons, sliders, toolbar } from "./controls.js";
import { html, shown, toggle, unheard, write } from "./dom.js";
import { copied, saved } from "./export.js";
import { help } from "./help.js";
import { map } from "./map.js";
import { cloud, means } from "./means.js";
import { merged } from "./merged.js";
import { parabolas } from "./parabolas.js";
import { lawInWords, lawTable, movedByPenalty } from "./penalty.js";
import { placing } from "./placing.js";
import { plane } from "./plane.js";
import { regression } from "./regression.js";
import { rescaling } from "./rescale.js";
import { sceneOf } from "./scene.js";
import { split } from "./split.js";
import { table } from "./table.js";
import { theme } from "./theme.js";

const TITLES = {
  picture: "The plane of x and x̂",
  numbers: "Every measure",
  losses: "Two losses, two minima",
  where: "The map of (ρ, r)",
  slopes: "Three lines of regression",
  merging: "Cells, and where their means lie",
};
const TYPED = ".typed input";
const NARROW = 640; // px: below that, presets are in a menu, and the toolbar is below the picture
const HIDDEN = "ρ, γ, λ and Rescale are for a single pair: hidden, but kept, until you untick";
const LEGEND =
  '<i class="scale_x"></i>E‖x̂ − s·x‖², minimum at s = c/a <i class="scale_x_hat"></i>E‖s·x̂ − x‖², minimum at s = c/b ' +
  '<i class="dashed"></i>the reciprocal of each: the other’s minimum only if ρ² = 1';

// `state` is a store. `resized` is called when the room changes, `recoloured` when the theme does.
export function view(state, { signal, link, resized, recoloured }) {
  const root = unheard(html("div", { class: "shrinkage-explorer", dir: "ltr" }));
  const status = html("p", { class: "status", role: "status" });
  const silence = html("p", { class: "status silence", role: "status" });
  const spoken = html("p", { class: "spoken", role: "status" });
  let colours = {};
  let scene = null; // what the last frame showed
  let frames = 0;
  const widths = new Map(); // of the panels that may be hidden
  let look = () => {}; // follow the background's theme
  const act = { ...state, say, veil, colour: (name) => (colours[name] ??= getComputedStyle(root).getPropertyValue(name)) };

  const vectors = plane(act, signal);
  const dots = cloud(act);
  const losses = parabolas();
  const reached = aside(); // which SAE's point x̂ has gone to
  const atlas = map({ ...act, say: reached.say }, signal);
  const numbers = table();
  const parts = split();
  const averages = means();
  const slopes = regression(act, TITLES.slopes);
  const ofPair = sliders(act, signal, "pair");
  const ofPlacing = aside();
  const ofPlace = placing(act, ofPlacing, signal);
  const rescale = rescaling(act, ofPlacing, signal);
  ofPlace.node.append(rescale.node, ofPlacing.node);
  const kept = aside(); // in place of settings that many points hide
  const ofPenalty = sliders(act, signal, "penalty");
  const led = aside(); // what λ has moved besides itself
  led.say(movedByPenalty(null, null));
  ofPenalty.node.append(led.node);
  let before = null; // what it was before λ moved x̂
  const law = lawTable();
  const ofPopulation = sliders(act, signal, "population");
  const cells = merged(TITLES.merging);
  const ofCells = sliders(act, signal, "merged");
  const lesson = lessons(act, signal);
  const many = html("input", { type: "checkbox", name: "population" });
  const merge = html("input", { type: "checkbox", name: "merged" });
  const choice = html("select", { name: "measure", "aria-label": "measure shown on the map" });
  const bar = toolbar(
    {
      undo: { label: "Undo", run: () => state.travel(-1) },
      redo: { label: "Redo", run: () => state.travel(1) },
      reset: { label: "Reset", run: state.reset },
      ...(link ? { link: { label: "Copy link", run: async () => say(await copied(link(state.now()))) } } : {}),
      svg: { label: "SVG", run: () => save("svg") },
      png: { label: "PNG", run: () => save("png") },
    },
    signal,
  );
  build();

  function build() {
    const section = (name, title, ...nodes) => html("section", { class: name }, html("h3", {}, title), ...nodes);
    const legend = html("p", { class: "legend" });
    legend.innerHTML = LEGEND;
    for (const [key, { plain }] of Object.entries(measures)) {
      choice.append(html("option", { value: key }, `${plain}  ${key.replaceAll("_", " ")}`));
    }
    const panels = html(
      "div",
      { class: "panels" },
      section("picture", TITLES.picture, html("div", { class: "stack" }, dots.node, vectors.node), parts.node, ofPair.node, ofPlace.node, kept.node, ofPenalty.node, law.node),
      html("section", { class: "numbers" }, html("h3", {}, `${TITLES.numbers} `, numbers.whose), numbers.node),
      section("losses", TITLES.losses, losses.node, legend),
      section("where", TITLES.where, html("label", { class: "choice" }, "level curves of ", choice), atlas.node, reached.node),
      html("section", { class: "population" }, html("label", {}, many, " A population of pairs"), ofPopulation.node, averages.node, slopes.node),
      html("section", { class: "merged" }, html("label", {}, merge, " Points merged into cells"), ofCells.node, cells.node),
    );
    root.append(html("header", {}, lesson.node, bar.node), status, silence, spoken, panels, help());
    unheard(...root.querySelectorAll("button, input, select, summary, [tabindex]"));
    const choose = (node, patch) => node.addEventListener("change", () => (state.set(patch()), state.commit()), { signal });
    choose(many, () => ({ population: many.checked, merged: false }));
    choose(merge, () => ({ merged: merge.checked, population: false }));
    choose(choice, () => ({ measure: choice.value }));
    root.addEventListener("keydown", keys, { signal });
  }

  // Once the root is in the document, whose background decides the theme.
  function start() {
    look = theme(root, signal, () => {
      colours = {};
      recoloured();
    });
    const observer = new ResizeObserver(resized);
    signal.addEventListener("abort", () => observer.disconnect());
    observer.observe(root);
    resized();
  }

  // Returns whether there is any room: a hidden tab has none.
  function layout() {
    const width = (node) => Math.floor(node.parentElement.clientWidth);
    if (!width(vectors.node)) return false;
    const narrow = root.clientWidth < NARROW;
    root.classList.toggle("narrow", narrow);
    const place = root.querySelector(narrow ? ".picture" : "header");
    if (bar.node.parentElement !== place) place.append(bar.node);
    dots.layout(vectors.layout(width(vectors.node)));
    losses.layout(width(losses.node));
    atlas.layout(width(atlas.node));
    layoutHidden();
    look();
    return true;
  }

  // Every frame draws what can be dragged; the rest takes turns, one half in every second frame.
  function draw(settings, all = false) {
    scene = sceneOf(settings, scene);
    frames += 1;
    for (const panel of [vectors, atlas]) panel.draw(scene);
    if (all || frames % 2) for (const panel of [losses, ofPair, ofPenalty]) panel.draw(scene);
    if (all || frames % 2 === 0) for (const panel of [numbers, parts, law]) panel.draw(scene);
    if (all || frames % 2 === 0) vectors.drawFigures(scene);
    dots.draw(scene, vectors.toView);
    root.classList.toggle("penalises", Boolean(scene.penalty));
    drawPopulation(Boolean(scene.population), all);
    drawCells(Boolean(scene.merged));
    if (many.checked !== Boolean(scene.population)) many.checked = Boolean(scene.population);
    if (merge.checked !== settings.merged) merge.checked = settings.merged;
    if (choice.value !== settings.measure) choice.value = settings.measure;
  }

  function drawPopulation(on, all) {
    const opened = on && !slopes.node.seen;
    for (const node of [ofPopulation.node, averages.node, slopes.node]) toggle(node, on);
    if (!on) return;
    if (opened) layoutHidden();
    ofPopulation.draw(scene);
    if (all || frames % 2) slopes.draw(scene);
  }

  function drawCells(on) {
    const opened = on && !cells.node.seen;
    for (const node of [ofCells.node, cells.node]) toggle(node, on);
    root.classList.toggle("merges", on);
    toggle(ofPair.node, !on); // the cells decide on the angle and the norm ratio
    if (!on) return;
    if (opened) layoutHidden();
    for (const panel of [ofCells, cells]) panel.draw(scene);
  }

  // Panels that may be hidden, and then have no width.
  function layoutHidden() {
    for (const panel of [slopes, cells]) {
      const width = Math.floor(panel.frame.clientWidth);
      if (!width || width === widths.get(panel)) continue;
      widths.set(panel, width);
      panel.layout(width);
    }
  }

  function read() {
    for (const panel of [ofPair, ofPlace, rescale, ofPenalty, law, atlas, vectors]) panel.detail(scene);
    if (scene.population) for (const panel of [ofPopulation, averages, slopes]) panel.detail(scene);
    if (scene.merged) for (const panel of [ofCells, cells]) panel.detail(scene, veiled());
  }

  function finish(settings) {
    draw(settings, true);
    read();
    numbers.detail(scene);
    for (const [name, by] of [["undo", -1], ["redo", 1]]) bar.enable(name, state.can(by));
    const many = scene.population ? `${HIDDEN} the population.` : scene.merged ? `${HIDDEN} the cells.` : "";
    kept.say(many);
    toggle(ofPenalty.node, !many);
  }

  function say(words, wrong = false) {
    write(status, words);
    status.classList.toggle("wrong", wrong);
  }

  function veiled() {
    return root.classList.contains("veiled");
  }

  // The settings of a `preset` are given, and the norm ratio of a single pair is one of them.
  function veil(on, preset) {
    if (preset) root.classList.toggle("gives-ratio", !preset.state.population && !preset.state.merged);
    if (on === veiled()) return;
    root.classList.toggle("veiled", on);
    if (scene?.merged) cells.detail(scene, on);
    if (!on) vectors.prediction.tell();
  }

  function leaveLesson() {
    vectors.prediction.ask(null);
    veil(false);
    lesson.leave();
  }

  function jumped(preset) {
    atlas.forget();
    lesson.choose(preset);
    vectors.prediction.ask(preset?.predict || null);
  }

  function followed(from) {
    before = from;
  }

  // To a screen reader, once a movement has ended.
  function announce() {
    for (const tell of [say, reached.say, ofPlacing.say]) tell("");
    led.say(movedByPenalty(state.now(), before));
    before = null;
    write(spoken, veiled() ? lesson.asked() : summary());
  }

  function summary() {
    const values = ["relative_reconstruction_bias", "scale_x", "scale_x_hat"].map((key) => {
      const { value, reason } = scene.values[key];
      return `${measures[key].plain} ${value === null ? `undefined: ${reason}` : shown(value)}`;
    });
    return [settingsInWords(), lawInWords(scene), ...values].filter(Boolean).join("; ");
  }

  function settingsInWords() {
    const { angle, norm_ratio, cells: count, factor } = scene.state;
    const ofCells = scene.merged ? `cells ${count}, factor ${shown(factor, 2)}; ` : "";
    return `${ofCells}angle ${shown(angle, 1)}°, norm ratio ${shown(norm_ratio)}`;
  }

  function keys(event) {
    event.stopPropagation(); // a notebook has shortcuts of its own
    const control = event.ctrlKey || event.metaKey;
    const typing = event.target.matches(TYPED);
    if (control && !typing && event.key.toLowerCase() === "z") {
      event.preventDefault();
      state.travel(event.shiftKey ? 1 : -1);
    } else if (event.key === "Home" && !event.target.matches(`${TYPED}, select`)) {
      event.preventDefault();
      state.reset();
    }
  }

  async function save(kind) {
    finish(state.now());
    const panels = [
      { title: TITLES.picture, layers: [dots.node, vectors.node] },
      { title: TITLES.losses, layers: [losses.node] },
      { title: `${TITLES.where}: level curves of ${measures[state.now().measure].plain}`, layers: atlas.pictures },
    ];
    if (scene.population) panels.push({ title: TITLES.slopes, layers: slopes.pictures });
    if (scene.merged) panels.push(...cells.pictures.map((layer, i) => ({ title: i ? "" : TITLES.merging, layers: [layer] })));
    await saved(kind, panels, getComputedStyle(root), veiled() ? settingsInWords() : summary());
    say(`Saved as shrinkage.${kind}.`);
  }

  return {
    root, start, layout, draw, read, finish, say, leaveLesson, jumped, followed, announce,
    choose(preset) {
      vectors.prediction.ask(null);
      lesson.choose(preset);
    },
    drawSaes: atlas.drawSaes,
    silent: (words) => write(silence, words),
  };
}
