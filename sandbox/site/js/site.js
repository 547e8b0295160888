// What every page does: say that its scripts have started, then keep the site, so that it works offline. That waits until
// the page itself has loaded.
document.querySelector(".unstarted")?.remove();

const keeper = navigator.serviceWorker;
const kept = keeper?.controller; // this page comes from a version that was kept

async function keep() {
  const registration = await keeper.register("service-worker.js");
  // A newer version is ready: this page is loaded again, from that, unless someone is at work on it already.
  if (!registration.waiting || navigator.userActivation?.hasBeenActive) return;
  if (kept) keeper.addEventListener("controllerchange", () => location.reload(), { once: true });
  registration.waiting.postMessage("take over");
}

// Without a service worker, the site needs its server.
const begin = () => keep().catch(() => {});
if (keeper && document.readyState === "complete") begin();
else if (keeper) addEventListener("load", begin, { once: true });
