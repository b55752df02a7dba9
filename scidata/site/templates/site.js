// Copying is what these pages need a script for; without it they lack nothing else.
"use strict";
for (const button of document.querySelectorAll("button.copy")) {
  if (!navigator.clipboard) continue; // http on another machine: browsers refuse
  const label = button.textContent;
  button.hidden = false;
  button.addEventListener("click", async () => {
    const text = button.parentElement.querySelector("code").textContent;
    await navigator.clipboard.writeText(text);
    button.textContent = button.dataset.copied;
    setTimeout(() => { button.textContent = label; }, 1600);
  });
}
// From a folder (file:) nobody answers an address that ends in "/" with its page.
if (location.protocol === "file:") {
  for (const link of document.querySelectorAll("a[href$='/']")) {
    if (link.protocol === "file:") link.setAttribute("href", `${link.getAttribute("href")}index.html`);
  }
}
