// Keeps the site, so that it works offline and every page is whole: all of one version, never half old and half new.
//
// The builder writes this file to the top of the site, and before it SITE: { version, files: { path: hash }, later }.
// A new version is fetched beside the one in use, each file checked. It takes over when a page is loaded
// while no other page of the site is open. Files that are wanted `later`, as Python, are kept when first wanted.
const OURS = `shrinkage-sandbox ${new URL(registration.scope).pathname} `; // another folder of this server is another site
const CACHE = OURS + SITE.version;

self.addEventListener("install", (event) => event.waitUntil(install()));

self.addEventListener("activate", (event) => {
  const clean = async () => {
    const former = /^shrinkage-sandbox-[0-9a-f]{16}$/; // as they were named once
    const old = (await caches.keys()).filter((name) => (name.startsWith(OURS) && name !== CACHE) || former.test(name));
    await Promise.all(old.map((name) => caches.delete(name)));
    await clients.claim();
  };
  event.waitUntil(clean());
});

self.addEventListener("message", (event) => event.data === "take over" && event.waitUntil(takeOver()));

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const name = nameOf(request.url);
  if (request.method !== "GET" || request.headers.has("range") || name === undefined) return;
  event.respondWith(answered(event, name));
});

// If one file is not of this version, as while a server is being renewed, nothing is installed until the next visit.
async function install() {
  const cache = await caches.open(CACHE);
  const others = (await caches.keys()).filter((name) => name.startsWith(OURS) && name !== CACHE);
  const one = async (name) => {
    if (await cache.match(name)) return;
    for (const other of others) {
      const kept = await (await caches.open(other)).match(name);
      if (kept && (await keep(cache, name, kept))) return;
    }
    if (SITE.later.includes(name)) return;
    // The browser's own cache may hold an old one.
    const fresh = await fetch(name, { cache: "no-cache" });
    if (!fresh.ok || !(await keep(cache, name, fresh))) throw new Error(`${name} is not of this version`);
  };
  await Promise.all(Object.keys(SITE.files).map(one));
}

// Puts a response into the cache if it is the file of this version; returns whether it is.
async function keep(cache, name, response) {
  const bytes = await response.arrayBuffer();
  if (!(await isOurs(name, bytes))) return false;
  // A new response: one that the server had redirected may not answer for a page.
  const type = response.headers.get("Content-Type");
  await cache.put(name, new Response(bytes, { headers: type ? { "Content-Type": type } : {} }));
  return true;
}

// Pages name their version themselves: servers and proxies add to them, as counters of visitors.
async function isOurs(name, bytes) {
  if (name.endsWith(".html")) return new TextDecoder().decode(bytes).includes(`data-version="${SITE.version}"`);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  const hash = [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hash.startsWith(SITE.files[name]);
}

// The file of the site that an address means, also where the server leaves ".html" out; undefined if there is none.
function nameOf(address) {
  if (!address.startsWith(registration.scope)) return undefined;
  const path = new URL(address).pathname.slice(new URL(registration.scope).pathname.length);
  return [path || "index.html", `${path}.html`].find((name) => Object.hasOwn(SITE.files, name));
}

async function answered(event, name) {
  const cache = await caches.open(CACHE);
  const known = await cache.match(name);
  if (known) return known;
  const fresh = await fetch(event.request);
  if (fresh.ok) event.waitUntil(keep(cache, name, fresh.clone()));
  return fresh;
}

// A page asks for it when it has been loaded from the old version. Any other open page would be left with half of each.
async function takeOver() {
  const open = await clients.matchAll({ includeUncontrolled: true });
  if (open.filter(({ url }) => url.startsWith(registration.scope)).length === 1) await skipWaiting();
}
