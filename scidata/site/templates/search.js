// Search over the catalogue, in the reader's browser: `search.json` is fetched once, or, where a
// browser fetches nothing from a folder, the datasets that the page lists are searched.
// Without a script the page is the list of datasets, and lacks nothing but this.
"use strict";
{
  const SHOWN = 50; // results before "Show more"
  const WEIGHTS = { title: 8, name: 8, keywords: 5, variables: 3, creators: 3, abstract: 1 };
  const SIZES = { small: [0, 1e8], middle: [1e8, 1e10], large: [1e10, Infinity] }; // bytes
  const form = document.getElementById("search");
  const list = document.getElementById("datasets");
  const others = document.getElementById("others");
  const results = document.getElementById("results");
  const status = document.getElementById("found");
  const more = document.getElementById("more");
  const field = form.elements.q;
  let datasets = null;
  let shown = SHOWN;
  let found = [];

  // Letters without their accents, in lower case: "Müller" is found by "muller".
  const plain = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
  const words = (text) => plain(text).match(/[\p{L}\p{N}]+/gu) ?? [];
  // These are written without blanks between words, so a word may begin anywhere.
  const unspaced = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]/u;

  function prepare(dataset) {
    const weights = new Map(); // word -> the weight of the best field that has it
    for (const [key, weight] of Object.entries(WEIGHTS)) {
      for (const text of [dataset[key] ?? []].flat()) {
        for (const word of words(text)) {
          if ((weights.get(word) ?? 0) < weight) weights.set(word, weight);
        }
      }
    }
    return { ...dataset, weights: [...weights] };
  }

  // Each word of the query must begin a word of the dataset; a whole word counts double.
  function score(dataset, query) {
    let total = 0;
    for (const wanted of query) {
      const anywhere = unspaced.test(wanted);
      let best = 0;
      for (const [word, weight] of dataset.weights) {
        if (word.startsWith(wanted) || (anywhere && word.includes(wanted))) {
          best = Math.max(best, word === wanted ? 2 * weight : weight);
        }
      }
      if (!best) return 0;
      total += best;
    }
    return total || 1;
  }

  function passes(dataset) {
    const { licence, domain, size } = form.elements;
    const [least, most] = SIZES[size.value] ?? [0, Infinity];
    return (!licence.value || dataset.licence === licence.value)
      && (!domain.value || dataset.domains.includes(domain.value))
      && dataset.bytes >= least && dataset.bytes < most;
  }

  function search() {
    const query = words(field.value);
    const { licence, domain, size } = form.elements;
    const asked = query.length > 0 || licence.value || domain.value || size.value;
    form.elements.clear.hidden = !asked;
    list.hidden = Boolean(asked);
    if (others) others.hidden = Boolean(asked);
    results.hidden = !asked;
    if (!asked) {
      found = [];
      status.textContent = "";
    } else {
      found = datasets
        .filter(passes)
        .map((dataset) => [score(dataset, query), dataset])
        .filter(([points]) => points > 0)
        .sort(([a, one], [b, other]) => b - a
          || other.date.localeCompare(one.date) || one.name.localeCompare(other.name))
        .map(([, dataset]) => dataset);
      const count = found.length.toLocaleString("en");
      status.textContent = found.length === 1 ? "1 dataset found" : `${count} datasets found`;
    }
    show();
    remember();
  }

  function show() {
    results.replaceChildren(...found.slice(0, shown).map(card));
    more.hidden = found.length <= shown;
  }

  // Text is only ever put in as text: nothing of a record is read as HTML.
  function make(tag, text, attributes = {}) {
    const made = document.createElement(tag);
    made.textContent = text;
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    return made;
  }

  // From a folder nobody answers an address that ends in "/" with its page.
  const page = (href) => href.replace(/\/$/, location.protocol === "file:" ? "/index.html" : "/");

  function card(dataset) {
    const item = make("li", "", { class: "card" });
    const heading = make("h2", "", { dir: "auto", lang: dataset.language });
    heading.append(make("a", dataset.title, { href: page(dataset.href) }));
    const facts = [dataset.name, dataset.version, dataset.date, dataset.size, dataset.licence];
    if (dataset.simulated) facts.push("simulated");
    const line = make("p", facts.filter(Boolean).join(" · "), { class: "small" });
    if (dataset.state !== "active") {
      line.append(" ", make("span", dataset.state, { class: `badge ${dataset.state}` }));
    }
    const abstract = make("p", dataset.abstract, { dir: "auto", lang: dataset.language });
    item.append(heading, line, abstract);
    const keywords = dataset.keywords.slice(0, 6);
    if (keywords.length) {
      const chips = make("ul", "", { class: "chips", "aria-label": "Keywords" });
      chips.append(...keywords.map((word) => make("li", word, { dir: "auto" })));
      item.append(chips);
    }
    return item;
  }

  // The query stands in the address, so that it can be sent to somebody, and "back" keeps it.
  const NAMES = ["q", "licence", "domain", "size"];
  function remember() {
    const asked = new URLSearchParams();
    for (const name of NAMES) {
      if (form.elements[name].value) asked.set(name, form.elements[name].value);
    }
    const text = asked.toString();
    history.replaceState(null, "", text ? `#${text}` : location.pathname + location.search);
  }
  function recall() {
    const asked = new URLSearchParams(location.hash.slice(1));
    for (const name of NAMES) form.elements[name].value = asked.get(name) ?? "";
  }

  function offer(select, values) {
    const sorted = [...new Set(values)].filter(Boolean).sort((a, b) => a.localeCompare(b));
    select.append(...sorted.map((value) => make("option", value, { value })));
    select.parentElement.hidden = sorted.length < 2; // nothing to choose from
  }

  // From a folder (file:) browsers fetch nothing: then the page itself is the catalogue.
  function listed() {
    return [...list.children].map((item) => {
      const link = item.querySelector("h2 a");
      return {
        ...item.dataset,
        title: link.textContent,
        href: link.getAttribute("href"),
        language: item.querySelector("h2").lang,
        abstract: item.querySelector("p[dir]").textContent,
        bytes: Number(item.dataset.bytes),
        domains: JSON.parse(item.dataset.domains),
        keywords: [...item.querySelectorAll(".chips li")].map((word) => word.textContent),
      };
    });
  }

  async function read() {
    try {
      const answer = await fetch("search.json");
      if (!answer.ok) throw new Error(`search.json: ${answer.status}`);
      return (await answer.json()).datasets;
    } catch {
      return listed();
    }
  }

  // Down from the field leads to the first result, from there on to the next, and up back.
  function walk(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const links = [...(results.hidden ? list : results).querySelectorAll("h2 a")];
    const at = document.activeElement === field ? -1 : links.indexOf(document.activeElement);
    if (!step || (at < 0 && document.activeElement !== field)) return;
    const next = at + step < 0 ? field : links[at + step];
    if (!next || (at < 0 && step < 0)) return;
    event.preventDefault();
    next.focus();
  }

  async function start() {
    const held = location.protocol === "file:" ? listed() : await read();
    datasets = held.map(prepare);
    offer(form.elements.licence, datasets.map((dataset) => dataset.licence));
    offer(form.elements.domain, datasets.flatMap((dataset) => dataset.domains));
    recall();
    form.hidden = false;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      results.querySelector("h2 a")?.focus();
    });
    form.addEventListener("input", () => { shown = SHOWN; search(); });
    form.elements.clear.addEventListener("click", () => {
      for (const name of NAMES) form.elements[name].value = "";
      search();
      field.focus();
    });
    more.addEventListener("click", () => {
      const first = shown;
      shown += SHOWN;
      show();
      results.children[first]?.querySelector("h2 a").focus();
    });
    document.addEventListener("keydown", walk);
    window.addEventListener("hashchange", () => { recall(); search(); });
    search();
  }

  if (form && list) start();
}
