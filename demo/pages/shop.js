// The shop in a browser: a menu, a cart that the browser keeps, an order, and where it is. Two languages.

const TEXTS = {
  en: {
    shop: "Pizza Haechi", headline: "Hot pizza, guarded all the way",
    tagline: "Six pizzas, four stores, half an hour. Every call this page makes passes the gateway that you are trying out.",
    find: "Find a pizza", search: "Search", add: "Add", limited: "limited", checkout: "Check out",
    yourOrder: "Your order", total: "Total", email: "Email", password: "Password", district: "Deliver to", payBy: "Pay by",
    card: "Card", wallet: "Wallet", transfer: "Transfer", place: "Place the order", empty: "Nothing in the cart yet.",
    account: "An account is filled in for you: it is as good as any.", again: "Back to the menu", order: "Order",
    placed: "Waiting for your payment", paid: "Ordered", baking: "In the oven", delivering: "On its way", delivered: "Enjoy your meal",
    cancelled: "Cancelled", pizzas: (count) => (count === 1 ? "1 pizza" : `${count} pizzas`),
    wrong: "That did not work", signInFirst: "Please place an order first.", other: "한국어",
    mapo: "Mapo", gangnam: "Gangnam", jongno: "Jongno", songpa: "Songpa",
  },
  ko: {
    shop: "피자 해치", headline: "갓 구운 피자를 문 앞까지 지켜 드려요",
    tagline: "피자 여섯 가지, 매장 네 곳, 30분 배달. 이 페이지의 모든 호출은 지금 써 보고 계신 게이트웨이를 지나갑니다.",
    find: "피자 찾기", search: "검색", add: "담기", limited: "한정", checkout: "주문하기",
    yourOrder: "주문 내역", total: "합계", email: "이메일", password: "비밀번호", district: "배달 지역", payBy: "결제 수단",
    card: "카드", wallet: "지갑", transfer: "계좌 이체", place: "결제하고 주문하기", empty: "아직 담은 피자가 없어요.",
    account: "체험용 계정이 미리 채워져 있어요. 그대로 주문하시면 됩니다.", again: "메뉴로 돌아가기", order: "주문",
    placed: "결제를 기다리고 있어요", paid: "주문 완료", baking: "굽는 중", delivering: "배달 중", delivered: "맛있게 드세요",
    cancelled: "취소됨", pizzas: (count) => `피자 ${count}판`,
    wrong: "처리하지 못했어요", signInFirst: "먼저 주문해 주세요.", other: "English",
    mapo: "마포", gangnam: "강남", jongno: "종로", songpa: "송파",
  },
};

const wanted = new URLSearchParams(location.search).get("lang") ?? localStorage.getItem("language") ?? navigator.language;
const language = wanted.startsWith("ko") ? "ko" : "en";
const texts = TEXTS[language];
const $ = (id) => document.getElementById(id);
const money = new Intl.NumberFormat(language, { style: "currency", currency: "EUR" });
const cart = JSON.parse(localStorage.getItem("cart") ?? "{}");

document.documentElement.lang = language;
for (const node of document.querySelectorAll("[data-t]")) node.textContent = texts[node.dataset.t];
for (const node of document.querySelectorAll("[data-placeholder]")) node.placeholder = texts[node.dataset.placeholder];
for (const node of document.querySelectorAll("[data-label]")) node.setAttribute("aria-label", texts[node.dataset.label]);
$("language").textContent = texts.other;
$("language").addEventListener("click", () => {
  localStorage.setItem("language", language === "ko" ? "en" : "ko");
  const url = new URL(location);
  url.searchParams.delete("lang");
  location.assign(url);
});

// Calls the shop; what it says when it refuses becomes the error.
async function call(method, path, body) {
  const token = sessionStorage.getItem("token");
  const headers = token ? { authorization: `Bearer ${token}` } : {};
  if (body) headers["content-type"] = "application/json";
  const answer = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
  const text = await answer.text();
  const json = (answer.headers.get("content-type") ?? "").includes("json") ? JSON.parse(text) : null;
  if (!answer.ok) throw new Error(`${texts.wrong}: ${json?.detail ?? (text || answer.status)}`);
  return json;
}

const named = (pizza) => (language === "ko" ? pizza.korean : pizza.name);

function made(tag, attributes, ...children) {
  const node = Object.assign(document.createElement(tag), attributes);
  node.append(...children);
  return node;
}

function complain(error) {
  $("problem").textContent = error.message;
  $("problem").hidden = false;
}

// What lies in the cart: pizzas, how many, and what they cost.
function sums(pizzas) {
  const lines = pizzas.filter((pizza) => cart[pizza.id]).map((pizza) => ({ pizza, quantity: cart[pizza.id] }));
  const total = lines.reduce((sum, { pizza, quantity }) => sum + pizza.price * quantity, 0);
  return { lines, total, count: lines.reduce((sum, { quantity }) => sum + quantity, 0) };
}

async function menu() {
  const pizzas = await call("GET", "/menu/pizzas");
  const show = () => {
    const { total, count } = sums(pizzas);
    $("cart").hidden = count === 0;
    $("count").textContent = texts.pizzas(count);
    $("sum").textContent = money.format(total);
  };
  const card = (pizza) => {
    const add = made("button", { type: "button", textContent: texts.add });
    add.setAttribute("aria-label", `${texts.add}: ${named(pizza)}`);
    add.addEventListener("click", () => {
      cart[pizza.id] = Math.min((cart[pizza.id] ?? 0) + 1, 20);
      localStorage.setItem("cart", JSON.stringify(cart));
      show();
    });
    const title = made("h2", { textContent: named(pizza) });
    if (pizza.limited) title.append(made("span", { className: "limited", textContent: texts.limited }));
    const image = made("img", { src: `/assets/pizza/${pizza.id}.svg`, alt: "", width: 320, height: 240 });
    const foot = made("div", { className: "foot" }, made("span", { className: "price", textContent: money.format(pizza.price) }), add);
    const other = made("p", { className: "other", textContent: language === "ko" ? pizza.name : pizza.korean });
    return made("li", { className: "card" }, image, made("div", {}, title, other, foot));
  };
  $("menu").replaceChildren(...pizzas.map(card));
  show();
}

async function order() {
  const pizzas = await call("GET", "/menu/pizzas");
  const { lines, total, count } = sums(pizzas);
  const line = ({ pizza, quantity }) =>
    made("li", {}, made("span", { textContent: `${quantity} × ${named(pizza)}` }), made("span", { className: "price", textContent: money.format(pizza.price * quantity) }));
  $("lines").replaceChildren(...(count ? lines.map(line) : [made("li", { textContent: texts.empty })]));
  $("sum").textContent = money.format(total);
  $("place").disabled = count === 0;
  $("districts").replaceChildren(...["mapo", "gangnam", "jongno", "songpa"].map((value) => made("option", { value, textContent: texts[value] })));
  $("form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const form = new FormData($("form"));
    $("place").disabled = true;
    try {
      const session = await call("POST", "/accounts/sign-in", { email: form.get("email"), password: form.get("password"), client: "web" });
      sessionStorage.setItem("token", session.token);
      const items = lines.map(({ pizza, quantity }) => ({ pizza: pizza.id, quantity }));
      const placed = await call("POST", "/orders/", { items });
      await pay(form.get("pay"), placed);
      await call("POST", "/delivery/", { order: placed.id, district: form.get("district") });
      localStorage.removeItem("cart");
      location.assign(`/track?order=${placed.id}`);
    } catch (error) {
      complain(error);
      $("place").disabled = false;
    }
  });
}

async function pay(by, { id, total }) {
  if (by === "card") await call("POST", "/payments/", { order: id, amount: total, method: "card" });
  if (by === "wallet") await call("POST", "/wallet/payments", { order: id, amount: total });
  if (by === "transfer") {
    const transfer = await call("POST", "/transfers/", { order: id, amount: total, bank: "nara" });
    // Until the bank says that it is there.
    while ((await call("GET", `/transfers/${transfer.id}`)).state === "waiting") await pause(500);
  }
}

const pause = (millis) => new Promise((resolve) => setTimeout(resolve, millis));

async function track() {
  const number = new URLSearchParams(location.search).get("order");
  $("number").textContent = `${texts.order} ${number ?? ""}`;
  if (!sessionStorage.getItem("token")) throw new Error(texts.signInFirst);
  for await (const { state } of told(`/orders/${encodeURIComponent(number)}/events`)) {
    show({ state, percent: state === "delivered" ? 100 : 0 });
    if (state === "delivering") follow(number);
  }
}

// The data of server-sent events, one by one. (EventSource cannot send who is asking.)
async function* told(path) {
  const headers = { authorization: `Bearer ${sessionStorage.getItem("token")}` };
  const answer = await fetch(path, { headers });
  if (!answer.ok) throw new Error(`${texts.wrong}: ${answer.status}`);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let text = ""; ; ) {
    const { done, value } = await reader.read();
    if (done) return;
    text += value;
    const events = text.split("\n\n");
    text = events.pop();
    for (const event of events) yield JSON.parse(event.slice(event.indexOf("data:") + 5));
  }
}

// Where the courier is, while there is one.
async function follow(number) {
  for (;;) {
    const seen = await call("GET", `/delivery/orders/${encodeURIComponent(number)}`);
    if (seen.state !== "delivering") return;
    show(seen);
    await pause(400);
  }
}

function show({ state, percent }) {
  $("state").textContent = texts[state];
  $("state").dataset.state = state;
  const steps = [...$("steps").children];
  const reached = steps.findIndex((step) => step.dataset.step === state);
  steps.forEach((step, index) => step.classList.toggle("reached", index <= reached));
  $("done").style.width = `${percent}%`;
  $("rider").style.left = `${percent}%`;
  $("road").setAttribute("aria-valuenow", percent);
}

const pages = { menu, order, track };
pages[document.body.dataset.page]?.().catch((error) => {
  if ($("problem")) complain(error);
  else throw error;
});
