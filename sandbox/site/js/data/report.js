// Totals ► a report: every measure from every origin, with the keys of `sandbox measure --json` (sandbox/report/report.py).
import { measures } from "../../explorer/generated.js";
import { lossParts, NO_TOKENS, NOTHING_LOST, PARTS, scales } from "./generated.js";
import { estimate, estimates, jointEstimate, undefinedAs } from "./intervals.js";
import { lawOf, lawToJson } from "./law.js";
import { about, added, centred, centredOnX, clusters, inStretches, raw, standIn, stretches, tokens } from "./origins.js";
import { statistics } from "./tokens.js";
import { column } from "./totals.js";
import { verdictOf } from "./verdict.js";

// The report as the `entry` for JSON, and the `law`, or null.
//
// `counter` is of totals.js; `facts` has `name`, `description`, `complete`, `documents` (null for blocks), `dtype`,
// `device`, and for an SAE `seesLatents`, `b_dec` (null if x̂ has none), `penalty` and `scale`.
export function reportOf(counter, facts) {
  const { typical, extreme, both } = counter;
  const share = extreme && added(column(extreme, "norm²")) / added(column(both, "norm²"));
  const n = tokens(both);
  const { results, law, l0 } = resultsOf(both, facts);
  const without = extreme ? resultsOf(typical, facts) : null;
  const entry = {
    name: facts.name,
    sae: facts.description,
    complete: facts.complete,
    tokens: n,
    documents: facts.documents,
    clusters: clusters(both),
    blocks: facts.documents === null ? standIn(both.count) : null,
    dropped: counter.nonfinite,
    outliers: extreme ? { limit: counter.limit, tokens: tokens(extreme), share_of_a: share, excluded: false } : null,
    l0,
    dtype: facts.dtype,
    device: facts.device,
    ...results,
    ...(without ? { without_outliers: { tokens: tokens(typical), ...without.results } } : {}),
    published: { batch: 0 }, // what libraries would print is for `sandbox measure`
    findings: [],
  };
  return { entry, law };
}

function resultsOf(totals, facts) {
  const blocks = facts.documents === null;
  const pool = blocks ? stretches(totals.count) : (values) => values;
  const of = blocks ? inStretches(raw(totals)) : raw(totals);
  const by = (name) => pool(column(totals, name), 1);
  const origins = { raw: of, centred: centred(of) };
  if (facts.b_dec) origins.decoder_bias = about(of, twice(facts.b_dec));
  const sections = Object.fromEntries(Object.entries(origins).map(([origin, moments]) => [origin, estimates(moments)]));
  Object.assign(sections.raw, partsOf(of, by("captured")));
  if (facts.b_dec) Object.assign(sections.decoder_bias, partsOf(origins.decoder_bias, by("captured_about_b_dec")));
  const gammas = Object.fromEntries(Object.entries(sections).map(([origin, section]) => [origin, section.relative_reconstruction_bias]));
  const { l0, ...means } = statistics(totals, blocks);
  const seen = facts.seesLatents ? { l0 } : {};
  const found = facts.b_dec && tokens(of) ? lawFrom(totals, origins.decoder_bias, by, facts) : null;
  return {
    results: {
      verdict: verdictOf(gammas),
      ...sections,
      statistics: { explained_variance: explainedVariance(of), ...means, ...seen },
      ...(found ? { law: lawToJson(found) } : {}),
    },
    law: found,
    l0: facts.seesLatents ? l0.value : null,
  };
}

function twice(row) {
  const rows = new Float64Array(2 * row.length);
  rows.set(row);
  rows.set(row, row.length);
  return rows;
}

function lawFrom(totals, moments, by, { penalty, scale }) {
  const meanNorm = added(column(totals, "norm")) / tokens(totals);
  if (!(meanNorm > 0)) return null;
  return lawOf(moments, { slopes: [by("penalty"), by("penalty_scaled")], meanNorm, penalty, scale });
}

// 1 − Σ‖x̂ − x‖²/Σ‖x − x̄‖².
function explainedVariance(moments) {
  if (!tokens(moments)) return undefinedAs(NO_TOKENS);
  const { value, low, high, reason } = estimate(centredOnX(moments), measures.relative_loss);
  const less = (end) => (end === null ? null : 1 - end);
  return { value: less(value), low: less(high), high: less(low), ...(reason ? { reason } : {}) };
}

// Where the loss is: in the tokens' angles, in factors that differ between tokens, or in a common factor (C23).
function partsOf(moments, captured) {
  const { length_loss: length, relative_loss: loss } = measures;
  const lost = (a, b, c) => length.whyUndefined(a, b, c) ?? (loss.value(a, b, c) > 0 ? null : NOTHING_LOST);
  const found = {};
  for (const [key, part] of Object.entries(lossParts)) {
    found[key] = jointEstimate(moments, captured, part, "share", length.whyUndefined);
    const share = (a, b, c, V) => part(a, b, c, V) / loss.value(a, b, c);
    found[PARTS[key][1]] = jointEstimate(moments, captured, share, "share", lost);
  }
  found.length_loss = estimate(moments, length);
  found.length_share = estimate(moments, {
    ...length,
    value: (...abc) => length.value(...abc) / loss.value(...abc),
    centre: (...abc) => length.centre(...abc) / Math.sqrt(loss.value(...abc)),
    range: scales.share.range,
    whyUndefined: lost,
  });
  return found;
}
