// Which part of the article an address asks for: "?scene=4", with "&answers=hidden" for an assignment and "&embed=1"
// for another page's frame. Settings of the picture may follow, as in a link to the explorer.
import { controls } from "../../explorer/generated.js";
import { sorted } from "../../explorer/state.js";

export function asked(search, count) {
  const given = new URLSearchParams(search);
  const wrong = [];
  const flag = (name, on) => {
    const text = given.get(name);
    if (text !== null && text !== on) wrong.push(`${name} is “${text.slice(0, 40)}”: it can only be “${on}”`);
    return text === on;
  };
  const hidden = flag("answers", "hidden");
  const embedded = flag("embed", "1");
  const text = given.get("scene");
  const number = /^\d{1,3}$/.test(text ?? "") ? Number(text) : NaN;
  const known = number >= 1 && number <= count;
  if (text !== null && !known) wrong.push(`scene is “${text.slice(0, 40)}”: it must be a whole number from 1 to ${count}`);
  if (text === null && (hidden || embedded)) wrong.push(`the address names no scene: add scene=1, or another up to ${count}`);
  const settings = sorted(Object.fromEntries([...given].filter(([name]) => Object.hasOwn(controls, name))));
  return {
    scene: known ? number : null,
    alone: known && (hidden || embedded),
    hidden: known && hidden,
    embedded: known && embedded,
    settings: known ? settings.good : {},
    wrong: [...wrong, ...settings.wrong],
  };
}

// The address of a scene for others; `settings` are those of its picture at first.
export function addressOf(scene, { hidden = false, embedded = false, settings = {} } = {}) {
  const address = new URL("index.html", location.href);
  address.searchParams.set("scene", scene);
  if (hidden) address.searchParams.set("answers", "hidden");
  if (embedded) address.searchParams.set("embed", "1");
  for (const name in settings) address.searchParams.set(name, settings[name]);
  return address.href;
}
