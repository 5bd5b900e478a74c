// The service worker of Tocsin {{ version }}: the shell from the cache, pages from the network, and from the cache with their age
// when the network is gone. What was cached goes when somebody logs out.
const SHELL = "tocsin-shell-{{ digest }}";
const PAGES = "tocsin-pages";
const FILES = {{ files | safe }};
const KEPT = /^(\/|\/alerts(\/[^/]+)?|\/events|\/oncall)$/;
const ROOT = new URL("./", self.location).pathname;
const MOST = 40;
const ICON = `${ROOT}${FILES.find((file) => file.includes("icon-192"))}`;

self.addEventListener("install", (event) => {
  event.waitUntil(caches.open(SHELL).then((cache) => cache.addAll(FILES)).then(() => self.skipWaiting()));
});

self.addEventListener("activate", (event) => {
  const old = (name) => name.startsWith("tocsin-shell-") && name !== SHELL;
  event.waitUntil(caches.keys().then((names) => Promise.all(names.filter(old).map((name) => caches.delete(name)))).then(() => self.clients.claim()));
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (url.origin !== self.location.origin || !url.pathname.startsWith(ROOT)) return;
  const path = `/${url.pathname.slice(ROOT.length)}`;
  if (path.startsWith("/static/")) event.respondWith(fromShell(request));
  else if (path === "/logout") event.waitUntil(caches.delete(PAGES));
  else if (request.mode === "navigate") event.respondWith(request.method === "GET" ? page(request, path) : send(request));
});

// What a push says, and what its buttons do. Every push must show something: a browser ends a subscription that is silent.
self.addEventListener("push", (event) => {
  let given = {};
  try {
    given = event.data.json();
  } catch {
    // not ours to read: shown all the same
  }
  const { title = "Tocsin", body = "", tag, url, urgent = false, actions = [] } = given;
  const does = Object.fromEntries(actions.map((one) => [one.action, one.url]));
  const buttons = actions.map((one) => ({ action: one.action, title: one.title }));
  const more = tag ? { tag, renotify: true } : {};
  event.waitUntil(self.registration.showNotification(title, { body, icon: ICON, badge: ICON, requireInteraction: urgent, actions: buttons, data: { url, does, tag }, ...more }));
});

self.addEventListener("notificationclick", (event) => {
  const { url, does = {}, tag } = event.notification.data || {};
  event.notification.close();
  const link = does[event.action];
  event.waitUntil(link ? press(link, url, tag) : open(url));
});

async function press(link, url, tag) {
  const tell = (title, body = "") => self.registration.showNotification(title, { body, icon: ICON, badge: ICON, silent: true, data: { url }, ...(tag ? { tag } : {}) });
  try {
    const answer = await fetch(link, { method: "POST", headers: { Accept: "text/plain" } });
    if (!answer.ok) return open(url);
    return tell((await answer.text()).trim());
  } catch {
    return tell("Nothing was sent", "There is no connection. Open the alert and press it again.");
  }
}

async function open(url) {
  const place = url || ROOT;
  const pages = await self.clients.matchAll({ type: "window" });
  const there = pages.find((one) => one.url === new URL(place, self.location).href);
  return there ? there.focus() : self.clients.openWindow(place);
}

async function fromShell(request) {
  return (await caches.match(request)) || fetch(request);
}

async function page(request, path) {
  try {
    const answer = await fetch(request);
    const place = new URL(answer.url).pathname;
    if (answer.redirected && place.endsWith("/login")) await caches.delete(PAGES);
    else if (answer.ok && KEPT.test(path)) await keep(request, answer.clone());
    return answer;
  } catch {
    return (await known(request)) || said("You are offline.", "This page has not been opened on this device lately, so nothing of it is known here. The overview may be.");
  }
}

async function keep(request, answer) {
  const headers = new Headers(answer.headers);
  headers.set("X-Kept-At", String(Date.now()));
  headers.delete("Content-Encoding");
  const cache = await caches.open(PAGES);
  await cache.put(request, new Response(await answer.blob(), { status: 200, headers }));
  const names = await cache.keys();
  for (const name of names.slice(0, Math.max(0, names.length - MOST))) await cache.delete(name);
}

// The page as it was, marked with the moment from which it is.
async function known(request) {
  const kept = await caches.match(request, { cacheName: PAGES, ignoreVary: true });
  if (!kept) return null;
  const text = (await kept.text()).replace("<html ", `<html data-stale="${kept.headers.get("X-Kept-At")}" `);
  return new Response(text, { status: 200, headers: kept.headers });
}

async function send(request) {
  try {
    return await fetch(request);
  } catch {
    return said("You are offline.", "Nothing was sent and nothing was changed. Go back and press it again when the connection is there.", 503);
  }
}

function said(title, advice, status = 503) {
  const sheet = FILES.find((file) => file.endsWith(".css"));
  const html = `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>${title} · Tocsin</title><link rel="stylesheet" href="${ROOT}${sheet}"></head><body class="plain"><main class="page"><div class="empty"><h1>${title}</h1><p>${advice}</p><p><a class="btn" href="${ROOT}">Overview</a></p></div></main></body></html>`;
  return new Response(html, { status, headers: { "Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": "default-src 'none'; style-src 'self'; font-src 'self'" } });
}
