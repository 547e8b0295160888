// What every figure says of an SAE: its name, and the cells that each table has.
import { swatch } from "./chart.js";
import { kindOf } from "./estimates.js";
import { architectures } from "./words.js";

export function nameOf({ architecture, coefficient, seed }) {
  return `${architectures[architecture]}, ${coefficient}${seed ? `, seed ${seed}` : ""}`;
}

export function idOf({ architecture, coefficient, seed }) {
  return `${architecture}-${coefficient}-seed-${seed}`;
}

export function cellsOf({ architecture, coefficient, l0 }) {
  return {
    name: { text: nameOf({ architecture, coefficient }), node: swatch(kindOf(architecture)) },
    l0: { text: l0.toFixed(1), value: l0 },
  };
}
