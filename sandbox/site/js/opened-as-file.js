// Says why a page that was opened as a file shows nothing: browsers give a file's page no modules and no data. This is
// the only script that is no module, because it must run there.
if (location.protocol === "file:") {
  const words =
    "This page was opened as a file, and browsers let such a page load neither its pictures nor its numbers. Serve its " +
    "folder instead: run python -m http.server in it, and open http://localhost:8000.";
  const note = Object.assign(document.createElement("p"), { className: "noscript", textContent: words });
  note.setAttribute("role", "alert");
  document.querySelector(".unstarted").replaceWith(note);
}
