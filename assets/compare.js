// Offers to compare tags; what does it is loaded when somebody asks.
const section = document.querySelector("[data-compare]");
const button = document.createElement("button");
button.type = "button";
button.textContent = "Compare two tags";
const start = () => import(section.dataset.comparison);
const follow = () => location.hash.startsWith("#compare=") && start();
button.addEventListener("click", async () => {
  await start();
  section.querySelector("select")?.focus();
});
addEventListener("hashchange", follow);
section.append(button);
section.hidden = false;
follow();
