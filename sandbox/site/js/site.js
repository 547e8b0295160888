// What every page does: work offline from the second visit on.

// A page that was opened as a file has no service worker, and needs none.
if ("serviceWorker" in navigator && location.protocol.startsWith("http")) {
  navigator.serviceWorker.register("service-worker.js").catch(() => {}); // without one, the site needs its server
}
