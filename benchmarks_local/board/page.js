(() => {
  "use strict";

  // Sorting: a button in each header; what has no value stays at the end, whichever way.
  const table = document.getElementById("scores");
  const body = table.tBodies[0];
  const headers = [...table.tHead.rows[0].cells];
  const announcement = document.getElementById("announcement");
  const inWords = new Intl.Collator("en", { numeric: true });

  const valueOf = (row, column, isText) => {
    const value = row.cells[column].dataset.value;
    return isText ? value : value === "" ? null : Number(value);
  };

  const sort = (column) => {
    const header = headers[column];
    const isText = header.dataset.kind === "text";
    const startsUpwards = isText || header.dataset.name === "rank";
    const before = header.getAttribute("aria-sort");
    const isUpwards = before === "none" ? startsUpwards : before === "descending";
    const direction = isUpwards ? 1 : -1;
    const rows = [...body.rows];
    rows.sort((first, second) => {
      const a = valueOf(first, column, isText);
      const b = valueOf(second, column, isText);
      if (a === null || b === null) return (a === null) - (b === null);
      return direction * (isText ? inWords.compare(a, b) : a - b);
    });
    body.append(...rows);
    for (const each of headers) each.setAttribute("aria-sort", "none");
    header.setAttribute("aria-sort", isUpwards ? "ascending" : "descending");
    announcement.textContent = `Sorted by ${header.dataset.name}, ${isUpwards ? "ascending" : "descending"}.`;
  };

  headers.forEach((header, column) => {
    header.querySelector("button").addEventListener("click", () => sort(column));
  });

  // Theme: as the system, light, dark. Where the browser keeps nothing for a file, it is chosen anew each time.
  const themes = ["as the system", "light", "dark"];
  const button = document.getElementById("theme");
  const kept = {
    read() {
      try {
        return localStorage.getItem("theme");
      } catch {
        return null;
      }
    },
    write(theme) {
      try {
        localStorage.setItem("theme", theme);
      } catch {
        return;
      }
    },
  };
  const show = (theme) => {
    if (theme === themes[0]) delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    document.getElementById("theme-name").textContent = theme;
  };
  let theme = themes.includes(kept.read()) ? kept.read() : themes[0];
  show(theme);
  button.hidden = false;
  button.addEventListener("click", () => {
    theme = themes[(themes.indexOf(theme) + 1) % themes.length];
    show(theme);
    kept.write(theme);
  });

  // Models: a link from the table opens what it leads to.
  const sections = [...document.querySelectorAll("details.of-model")];
  const expand = document.getElementById("expand");
  const label = () => {
    expand.textContent = sections.every((section) => section.open) ? "Close all" : "Open all";
  };
  const openTarget = () => {
    const target = location.hash && document.getElementById(location.hash.slice(1));
    if (target instanceof HTMLDetailsElement) target.open = true;
  };
  expand.hidden = sections.length === 0;
  expand.addEventListener("click", () => {
    const isToOpen = !sections.every((section) => section.open);
    for (const section of sections) section.open = isToOpen;
  });
  for (const section of sections) section.addEventListener("toggle", label);
  for (const link of table.querySelectorAll("tbody a")) {
    link.addEventListener("click", () => {
      document.getElementById(link.hash.slice(1)).open = true;
    });
  }
  window.addEventListener("hashchange", openTarget);
  openTarget();
})();
