// One connection for all tabs of this browser: the tab that holds the lock listens, and passes on what it hears.
const NAME = "tocsin-stream";
const up = document.body.dataset.up || "";
const channel = "BroadcastChannel" in window ? new BroadcastChannel(NAME) : null;
const wants = new Set(["alert", "summary"]);
const heard = new EventTarget();

let source = null;
let place = "";
let state = "waiting";
let pace = null;
let retry = 2000;

export const stream = heard; // dispatches "alert", "event", "summary", "pace", "reload", "state"

function tell(kind, detail, pass = true) {
  if (kind === "state") state = detail;
  if (kind === "pace") pace = detail;
  heard.dispatchEvent(new CustomEvent(kind, { detail }));
  if (pass) channel?.postMessage({ kind, detail, place }); // with the place: whoever takes over goes on from there
}

function open() {
  source?.close();
  const after = place ? `&last_event_id=${place}` : "";
  source = new EventSource(`${up}api/v1/stream?topics=${[...wants].join(",")}${after}`);
  source.onopen = () => {
    retry = 2000;
    tell("state", "live");
  };
  for (const kind of ["alert", "event", "summary", "pace", "reload"]) {
    source.addEventListener(kind, (message) => {
      place = message.lastEventId || place;
      tell(kind, JSON.parse(message.data));
    });
  }
  source.onerror = () => {
    tell("state", "lost");
    if (source.readyState !== EventSource.CLOSED) return; // it connects again by itself
    setTimeout(open, retry);
    retry = Math.min(retry * 2, 60000);
  };
}

export function want(topic) {
  if (source && !wants.has(topic)) {
    wants.add(topic);
    open();
  } else wants.add(topic);
  channel?.postMessage({ want: topic });
}

// A device that loses its network keeps the connection, and hears nothing more.
addEventListener("offline", () => {
  if (!source) return;
  source.close();
  tell("state", "lost");
});
addEventListener("online", () => source && open());

export function listen() {
  if (channel) {
    channel.onmessage = ({ data }) => {
      if (data.want) {
        if (source) {
          if (!wants.has(data.want)) {
            wants.add(data.want);
            open();
          }
          channel.postMessage({ kind: "state", detail: state });
          if (pace) channel.postMessage({ kind: "pace", detail: pace });
        }
      } else {
        place = data.place || place;
        tell(data.kind, data.detail, false);
      }
    };
    channel.postMessage({ want: "alert" }); // whoever listens already answers with how it stands
  }
  if (channel && navigator.locks) navigator.locks.request(NAME, () => new Promise(open));
  else open();
}
