// The strip says how this copy of the page was made; that text is part of the copy. Two things a copy cannot know are added here:
// how old it is by now, and what this visit cost, which the server sends in the Server-Timing header of every response.
const strip = document.querySelector("[data-rendered-at]");
const show = (name, html) => Object.assign(strip.querySelector(`[data-${name}]`), { innerHTML: html, hidden: false });

function spell(seconds) {
  const minutes = Math.floor(seconds / 60);
  return minutes ? `${minutes} min ${seconds % 60} s` : `${seconds} s`;
}

function tellAge() {
  const seconds = Math.max(0, Math.round((Date.now() - Date.parse(strip.dataset.renderedAt)) / 1000));
  show("age", `now <b>${spell(seconds)}</b> old`);
}

function tellVisit() {
  const [navigation] = performance.getEntriesByType("navigation");
  const timing = Object.fromEntries((navigation?.serverTiming ?? []).map((entry) => [entry.name, entry]));
  if (!timing.queries) return;
  const queries = Number(timing.queries.description);
  strip.classList.add(queries === 0 ? "cached" : "rendered");
  const cost = `<b>${queries} ${queries === 1 ? "query" : "queries"}</b>, <b>${timing.total.duration.toFixed(1)} ms</b>`;
  show("visit", `${queries === 0 ? "your visit, from the cache" : "your visit rendered it"}: ${cost}`);
}

tellAge();
tellVisit();
setInterval(tellAge, 1000);
