// The list of alerts: what is ticked, and working it from the keyboard.
import { announce } from "./say.js";

export function countTicks() {
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-list] [type=checkbox]")) count();
  });
  document.addEventListener("htmx:afterSettle", count);
  count();
}

const rows = () => [...document.querySelectorAll("[data-list] tbody tr")];
const boxOf = (row) => row?.querySelector("input[name=id]");

export function count() {
  const label = document.querySelector("[data-selected]");
  if (!label) return;
  const all = document.querySelector("input[name=everything]");
  const ticked = rows().filter((row) => boxOf(row)?.checked).length;
  label.textContent = all?.checked ? "All selected" : ticked ? `${ticked} selected` : "Tick alerts to act on them";
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
