// The page of results: each figure is fetched when it comes near the window.
import { failed } from "./files.js";
import { law } from "./law.js";
import { loss } from "./loss.js";
import { sparsity } from "./sparsity.js";

const FIGURES = { sparsity, law, loss };
const NEAR = "400px";

const watch = new IntersectionObserver(
  (entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      watch.unobserve(target);
      FIGURES[target.id](target).catch((error) => failed(target, error));
    }
  },
  { rootMargin: NEAR },
);

for (const id of Object.keys(FIGURES)) watch.observe(document.getElementById(id));
