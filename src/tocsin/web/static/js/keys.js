// Keys for those who work the list all day. Off while typing; off for good where `data-keys="off"` is kept on this device.
import { here, meant, move, tick } from "./alerts.js";
import { announce } from "./say.js";

const GOES = { h: "/", a: "/alerts", e: "/events", o: "/oncall", s: "/settings/health" };
const url = (path) => (document.body.dataset.up || "") + path.slice(1) || "./";
let waits = "";

function typing(target) {
  return target.closest?.("input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable]");
}

function press(selector) {
  const button = document.querySelector(selector);
  if (!button) return false;
  button.click();
  return true;
}

function act(key) {
  if (document.querySelector("[data-list]") && !meant()) return announce("Nothing is selected");
  press(`[data-key="${key}"]`);
}

const KEYS = {
  j: () => move(1),
  k: () => move(-1),
  x: () => tick(false),
  X: () => tick(true),
  a: () => act("a"),
  s: () => act("s"),
  r: () => act("r"),
  m: () => act("m"),
  z: () => press("[data-undo]"),
  o: () => here()?.querySelector("a.t")?.click(),
  n: () => press("[data-next-page]"),
  "/": () => document.querySelector("input[type=search]")?.focus(),
  "?": () => document.getElementById("help")?.showModal(),
  g: () => {
    waits = "g";
    setTimeout(() => (waits = ""), 1500);
  },
};

export function listenToKeys() {
  const off = document.querySelector("[data-keys-off]");
  if (off) {
    off.checked = localStorage.getItem("tocsin.keys") === "off";
    off.addEventListener("change", () => localStorage.setItem("tocsin.keys", off.checked ? "off" : "on"));
  }
  document.addEventListener("keydown", (event) => {
    const { key, target } = event;
    if ((event.ctrlKey || event.metaKey) && key.toLowerCase() === "k") {
      event.preventDefault();
      document.getElementById("palette")?.showModal();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || typing(target) || document.querySelector("dialog[open]")) return;
    if (localStorage.getItem("tocsin.keys") === "off" && key !== "?") return;
    if (waits === "g") {
      waits = "";
      const path = GOES[key];
      if (path && document.querySelector(`.nav a[href="${CSS.escape(url(path))}"], .nav a[href="${url(path)}"]`)) location.assign(url(path));
      event.preventDefault();
      return;
    }
    const does = KEYS[key];
    if (!does) return;
    event.preventDefault();
    does();
  });
}
