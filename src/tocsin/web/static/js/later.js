// Loads what exchanges parts of a page (htmx) when the page has stood for a while: it is not needed for the first look, and the
// charts are. What changes before then is told once it is there.
const PATIENCE = 5000; // ms

const { content } = document.querySelector('meta[name="tocsin-later"]');
const { nonce } = document.querySelector("script[nonce]");
let changed = false;
const remember = () => (changed = true);
document.body.addEventListener("tocsin:renew", remember);

function load(src) {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.nonce = nonce;
    script.src = src;
    script.onload = resolve;
    script.onerror = reject;
    document.head.append(script);
  });
}

const waiting = content.split(" ");

async function begin() {
  try {
    for (; waiting.length; waiting.shift()) await load(waiting[0]);
  } catch {
    setTimeout(begin, PATIENCE); // the network is away
    return;
  }
  document.body.removeEventListener("tocsin:renew", remember);
  if (changed) document.body.dispatchEvent(new CustomEvent("tocsin:renew"));
}

setTimeout(begin, PATIENCE);
