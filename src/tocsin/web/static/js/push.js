// "This device": asks the browser for a subscription and sends it with the form, like any other contact. The code that proves it
// comes as a notification.
const forms = () => document.querySelectorAll("form[data-push]");

function raw(text) {
  const plain = atob(text.replaceAll("-", "+").replaceAll("_", "/") + "=".repeat((4 - (text.length % 4)) % 4));
  return Uint8Array.from(plain, (letter) => letter.charCodeAt(0));
}

function say(form, words) {
  const place = form.querySelector("[data-says]");
  place.textContent = words;
  place.hidden = false;
}

async function subscribe(form) {
  if ((await Notification.requestPermission()) !== "granted") {
    say(form, "This browser may not show notifications. Allow them for this page in its settings, and press again.");
    return;
  }
  const registration = await navigator.serviceWorker.ready;
  const key = raw(form.dataset.push);
  const old = await registration.pushManager.getSubscription();
  const same = old && String(new Uint8Array(old.options.applicationServerKey || [])) === String(key);
  if (old && !same) await old.unsubscribe(); // it is bound to the keys of another installation
  const made = same ? old : await registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key });
  const { endpoint, keys } = made.toJSON();
  form.elements.target.value = JSON.stringify({ endpoint, keys });
  form.requestSubmit();
}

export function offerPush() {
  if (!("PushManager" in window) || !("serviceWorker" in navigator) || !("Notification" in window)) return;
  for (const form of forms()) {
    form.hidden = false;
    form.querySelector("button[type=button]").addEventListener("click", (event) => {
      event.target.disabled = true;
      subscribe(form)
        .catch((error) => say(form, `The browser did not subscribe: ${error.message}`))
        .finally(() => { event.target.disabled = false; });
    });
  }
}
