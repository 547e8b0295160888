// The model that a notebook (or the page) holds. No frame ever waits for it.
import { defaults } from "./generated.js";
import { same, sorted } from "./state.js";

const LINKED = 100; // ms between two updates of linked widgets in the browser, during a movement
const SENT = 500; // ms between two messages to the kernel during it: each keeps a notebook busy for several frames
const PATIENCE = 2500; // ms without an answer after which the kernel counts as silent

export function listener(model, { receive, silent, points }, signal) {
  const names = Object.keys(defaults);
  let sent = {}; // what the model holds
  let next = null;
  let timer = 0;
  let sending = 0;
  let waiting = 0;
  let telling = false; // values are set one by one: ignore changes until all are set
  let listens = false; // Python has answered before: a saved notebook on the web has none that could

  function state() {
    const values = Object.fromEntries(names.map((name) => [name, model.get(name)]).filter(([, value]) => value !== undefined));
    const { good, wrong } = sorted(values);
    sent = { ...defaults, ...good };
    return { good: sent, wrong };
  }

  function tell() {
    timer = 0;
    if (!next || same(next, sent)) return;
    const changes = names.filter((name) => next[name] !== sent[name]);
    sent = next;
    telling = true;
    for (const name of changes) model.set(name, sent[name]);
    telling = false;
    sending ||= setTimeout(send, SENT);
  }

  function send() {
    clearTimeout(sending);
    sending = 0;
    quietly(() => model.save_changes());
  }

  // The comm of a dead kernel throws; the picture does not depend on it.
  function quietly(send) {
    try {
      send();
    } catch {
      if (listens) silent(SILENT);
    }
  }

  // After a movement: send everything, and expect an answer.
  function settled(now) {
    changed(now);
    clearTimeout(timer);
    tell();
    send();
    ask();
  }

  function ask() {
    if (!model.get("_listens")) return; // a page has no kernel
    clearTimeout(waiting);
    if (listens) waiting = setTimeout(() => silent(SILENT), PATIENCE);
    quietly(() => model.send({ kind: "ping" }));
  }

  function changed(now) {
    next = now;
    timer ||= setTimeout(tell, LINKED);
  }

  function heard() {
    if (telling) return;
    const values = Object.fromEntries(names.map((name) => [name, model.get(name)]));
    const { good, wrong } = sorted(values);
    if (wrong.length) receive({}, wrong);
    if (same({ ...sent, ...good }, sent)) return;
    sent = { ...sent, ...good };
    next = null;
    receive(good, []);
  }

  // Python has answered a ping, or the page has a message.
  function answered({ kind, words }) {
    if (kind === "say") return receive({}, [words]);
    listens = true;
    clearTimeout(waiting);
    silent("");
  }
  for (const name of names) model.on(`change:${name}`, heard);
  model.on("msg:custom", answered);
  model.on("change:saes", points);
  signal.addEventListener("abort", () => {
    for (const running of [timer, sending, waiting]) clearTimeout(running);
    for (const name of names) model.off(`change:${name}`, heard);
    model.off("msg:custom", answered);
    model.off("change:saes", points);
  });
  ask();
  return { state, changed, settled, saes: () => model.get("saes") ?? [] };
}

const SILENT = "Python no longer listens: its kernel is busy or has stopped. The picture works without it.";
