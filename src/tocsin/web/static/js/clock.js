// Ages and countdowns move on while the page is open. The server said how late it is; the browser's clock may be wrong.
const loaded = Date.now();
const serverNow = Number(document.documentElement.dataset.now || loaded);

export const now = () => serverNow + (Date.now() - loaded);

export function inWords(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds}\u00a0s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}\u00a0min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return minutes % 60 ? `${hours}\u00a0h ${minutes % 60}\u00a0min` : `${hours}\u00a0h`;
  const days = Math.floor(hours / 24);
  return hours % 24 && days < 10 ? `${days}\u00a0d ${hours % 24}\u00a0h` : `${days}\u00a0d`;
}

export function inOneUnit(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds}\u00a0s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}\u00a0min`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)}\u00a0h`;
  return `${Math.floor(seconds / 86400)}\u00a0d`;
}

export function left(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds >= 3600) return inWords(ms);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function tick(root) {
  if (document.hidden) return;
  const at = now();
  for (const element of root.querySelectorAll("[data-age]")) {
    const gone = at - Date.parse(element.dateTime);
    write(element, element.dataset.age === "rough" ? inOneUnit(gone) : inWords(gone));
  }
  for (const element of root.querySelectorAll("[data-until]")) {
    const from = Number(element.dataset.from);
    const until = Number(element.dataset.until);
    const words = element.querySelector("[data-left]");
    if (words) write(words, left(until - at));
    const share = Math.min(1, Math.max(0, (until - at) / Math.max(1, until - from)));
    element.querySelector(".arc")?.setAttribute("stroke-dasharray", `${(106.8 * share).toFixed(1)} 106.8`);
  }
}
