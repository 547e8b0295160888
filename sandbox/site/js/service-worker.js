// Keeps what a reader has loaded, so that later visits work offline. It is written to the top of the site, with the
// site's version in place of the word below: a new version starts a new cache.
const CACHE = "shrinkage-sandbox-VERSION";
const OURS = /^shrinkage-sandbox-/;

self.addEventListener("install", () => self.skipWaiting());

self.addEventListener("activate", (event) => {
  const clean = async () => {
    const old = (await caches.keys()).filter((name) => OURS.test(name) && name !== CACHE);
    await Promise.all(old.map((name) => caches.delete(name)));
    await self.clients.claim();
  };
  event.waitUntil(clean());
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const here = request.url.startsWith(self.registration.scope);
  if (request.method === "GET" && here && !request.headers.has("range")) event.respondWith(answered(request));
});

// From the cache, else from the server. All files of a page are of one version: a new one is served from its first whole
// visit on, after the browser has fetched this file anew.
async function answered(request) {
  const cache = await caches.open(CACHE);
  const known = await cache.match(request, { ignoreSearch: true });
  if (known) return known;
  const fresh = await fetch(request);
  if (fresh.ok) await cache.put(request, fresh.clone());
  return fresh;
}
