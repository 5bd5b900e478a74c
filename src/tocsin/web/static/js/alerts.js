// The list of alerts: what is ticked, which stands in the address, too, and working it from the keyboard.
import { announce } from "./say.js";

export function countTicks() {
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-list] [type=checkbox]")) count();
  });
  document.addEventListener("htmx:afterSettle", count);
  pick();
  addEventListener("hashchange", pick);
  count();
}

const PICKED = "#picked=";

// Ticks what the address names: after a reload, on the way back, or in a link that a colleague sent.
function pick() {
  if (!location.hash.startsWith(PICKED)) return;
  const wanted = location.hash.slice(PICKED.length).split(",");
  for (const row of rows()) if (boxOf(row)) boxOf(row).checked = wanted.includes(boxOf(row).value);
  const all = document.querySelector("input[name=everything]");
  if (all) all.checked = wanted.includes("all");
  count();
}

function keepInAddress(picked) {
  const hash = picked.length ? PICKED + picked.join(",") : "";
  if (hash === location.hash || (!hash && !location.hash.startsWith(PICKED))) return;
  history.replaceState(history.state, "", location.pathname + location.search + hash);
}

const rows = () => [...document.querySelectorAll("[data-list] tbody tr")];
const boxOf = (row) => row?.querySelector("input[name=id]");

export function count() {
  const label = document.querySelector("[data-selected]");
  if (!label) return;
  const all = document.querySelector("input[name=everything]");
  const ticked = rows().filter((row) => boxOf(row)?.checked);
  label.textContent = all?.checked ? "All selected" : ticked.length ? `${ticked.length} selected` : "Tick alerts to act on them";
  keepInAddress(all?.checked ? ["all"] : ticked.map((row) => boxOf(row).value));
}

let anchor = null;

export function here() {
  return document.querySelector("[data-list] tr.here");
}

export function move(step) {
  const all = rows();
  if (!all.length) return;
  const at = all.indexOf(here());
  const next = all[Math.min(all.length - 1, Math.max(0, at + step))] ?? all[0];
  if (at === all.length - 1 && step > 0) {
    document.querySelector("[data-next-page]")?.click();
    return;
  }
  here()?.classList.remove("here");
  next.classList.add("here");
  next.querySelector("a.t")?.focus({ preventScroll: true });
  next.scrollIntoView({ block: "nearest" });
}

export function tick(extend) {
  const row = here();
  const box = boxOf(row);
  if (!box) return;
  if (extend && anchor) {
    const all = rows();
    const [from, to] = [all.indexOf(anchor), all.indexOf(row)].sort((a, b) => a - b);
    for (const one of all.slice(from, to + 1)) boxOf(one).checked = true;
  } else {
    box.checked = !box.checked;
    anchor = row;
  }
  count();
  announce(box.checked ? "Selected" : "Not selected");
}

// What is under the cursor is meant if nothing is ticked.
export function meant() {
  if (rows().some((row) => boxOf(row)?.checked) || document.querySelector("input[name=everything]")?.checked) return true;
  const box = boxOf(here());
  if (!box) return false;
  box.checked = true;
  count();
  return true;
}
