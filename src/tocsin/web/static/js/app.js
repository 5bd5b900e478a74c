// What every page of the dashboard does with script. All of it can be read and acknowledged without.
import { countTicks } from "./alerts.js";
import { install, sayStale, swipe } from "./phone.js";
import { tick } from "./clock.js";
import { offerCopies } from "./copy.js";
import { keepBegun } from "./keep.js";
import { listenToKeys } from "./keys.js";
import { live } from "./live.js";
import { openPalette } from "./palette.js";
import { offerPush } from "./push.js";
import { keepToasts } from "./toasts.js";

function ready(root) {
  tick(root);
  offerCopies(root);
}

ready(document);
countTicks();
keepBegun();
keepToasts();
listenToKeys();
openPalette();
offerPush();
sayStale();
if (!document.documentElement.dataset.stale) live();
swipe();
install();
setInterval(() => tick(document), 1000);
document.addEventListener("htmx:load", (event) => ready(event.detail.elt));
document.addEventListener("htmx:afterRequest", (event) => {
  if (event.detail.successful && event.target.matches?.("[data-reset]")) event.target.reset();
});
