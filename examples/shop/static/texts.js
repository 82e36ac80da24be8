// Everything that people read, in English and Korean, and the choice between the two.

const CHOSEN = "stoa.language"

export const TEXTS = {
  en: {
    title: "A small shop with three ways in",
    lead: "Choose how your session travels, sign in, and watch what goes over the wire. The shop is the same each time.",
    skip: "Skip to the content",
    account: "Account and devices",
    close: "Close",
    signIn: "Sign in",
    travels: "How the session travels",
    cookie: "Cookie",
    bearer: "Tokens",
    hybrid: "Hybrid",
    cookieHint: "The browser keeps an opaque cookie and sends it by itself. No script can read it.",
    bearerHint: "Both tokens come in the answer and stay in this page's memory, so a reload forgets them. An app would keep them.",
    hybridHint: "The access token lives in this page, the refresh token in a cookie that only Propylon ever sees.",
    email: "E-mail",
    password: "Password",
    demo: "This is the demo account of this machine; press Sign in.",
    ownPage: "Or sign in on Propylon's own page and come back",
    arrives: "Arrives as",
    session: "Session",
    lasts: "Lasts until",
    accessToken: "Access token",
    refreshToken: "Refresh token",
    credential_cookie: "session cookie",
    credential_access_token: "bearer token",
    unseen: "in an HttpOnly cookie, unseen by this page",
    tokenEnds: "The access token lives for",
    expired: "expired",
    renewsItself: "Towards its end, the next request renews it first.",
    renew: "Renew now",
    renewed: "The access token is renewed.",
    handOver: "Hand over to a cookie, too",
    sameSession: "the same session; the account page opens signed in",
    handedOver: "The same session is in a cookie too: the account page opens signed in.",
    signOut: "Sign out",
    signedOut: "You are signed out.",
    cart: "Cart",
    cartEmpty: "Nothing in it yet.",
    cartSignIn: "Sign in to put things in it.",
    total: "Total",
    order: "Place the order",
    orders: "Your orders",
    shelf: "What there is",
    add: "Add to cart",
    addNamed: (name) => `Add to cart: ${name}`,
    more: (name) => `One more: ${name}`,
    fewer: (name) => `One fewer: ${name}`,
    cartHas: (name, count, total) => `In the cart: ${name}, ${count}. Total ${total}.`,
    ordered: (number) => `Order ${number} is placed. Thank you.`,
    orderNumber: (number) => `Order ${number}`,
    piece: (name, count) => (count === 1 ? name : `${name} × ${count}`),
    wire: "What travelled",
    wireLead: "Every request of this page, the newest first, with the one credential that it carried. No script can read an HttpOnly cookie, so its value is not shown.",
    request: "Request",
    carried: "Carried",
    answer: "Answer",
    took: "Took",
    nothing: "nothing",
    unreachable: "no answer",
    unreachableTitle: "There was no answer",
    unreachableDetail: "The server did not answer. Check that it is running, and that every address says localhost.",
    foot: "Stoa is the example shop of Propylon. Use the name localhost for all addresses: cookies belong to the name.",
  },
  ko: {
    title: "들어오는 길이 셋인 작은 가게",
    lead: "세션을 전달할 방법을 골라 로그인하고, 무엇이 오가는지 살펴보세요. 어느 방법이든 가게는 똑같이 동작합니다.",
    skip: "본문으로 건너뛰기",
    account: "계정과 기기",
    close: "닫기",
    signIn: "로그인",
    travels: "세션 전달 방법",
    cookie: "쿠키",
    bearer: "토큰",
    hybrid: "하이브리드",
    cookieHint: "브라우저가 쿠키를 보관하고 알아서 보냅니다. 스크립트는 쿠키를 읽을 수 없습니다.",
    bearerHint: "두 토큰을 응답으로 받아 이 페이지의 메모리에만 두므로 새로고침하면 사라집니다. 앱이라면 따로 보관합니다.",
    hybridHint: "액세스 토큰은 이 페이지에, 리프레시 토큰은 Propylon만 볼 수 있는 쿠키에 둡니다.",
    email: "이메일",
    password: "비밀번호",
    demo: "이 컴퓨터의 데모 계정이 채워져 있습니다. 로그인 버튼만 누르세요.",
    ownPage: "Propylon 로그인 페이지에서 로그인하고 돌아오기",
    arrives: "인증 수단",
    session: "세션",
    lasts: "유효 기간",
    accessToken: "액세스 토큰",
    refreshToken: "리프레시 토큰",
    credential_cookie: "세션 쿠키",
    credential_access_token: "Bearer 토큰",
    unseen: "HttpOnly 쿠키(이 페이지에서 읽을 수 없음)",
    tokenEnds: "액세스 토큰 남은 시간",
    expired: "만료됨",
    renewsItself: "만료가 가까워지면 다음 요청에 앞서 자동으로 갱신합니다.",
    renew: "지금 갱신",
    renewed: "액세스 토큰을 갱신했습니다.",
    handOver: "쿠키로도 넘기기",
    sameSession: "같은 세션(계정 페이지가 로그인된 상태로 열림)",
    handedOver: "같은 세션을 쿠키에도 담았습니다. 이제 계정 페이지가 로그인된 상태로 열립니다.",
    signOut: "로그아웃",
    signedOut: "로그아웃했습니다.",
    cart: "장바구니",
    cartEmpty: "아직 담은 상품이 없습니다.",
    cartSignIn: "로그인하면 상품을 담을 수 있습니다.",
    total: "합계",
    order: "주문하기",
    orders: "주문 내역",
    shelf: "상품",
    add: "담기",
    addNamed: (name) => `${name} 담기`,
    more: (name) => `${name} 하나 더`,
    fewer: (name) => `${name} 하나 빼기`,
    cartHas: (name, count, total) => `장바구니: ${name} ${count}개. 합계 ${total}.`,
    ordered: (number) => `${number}번 주문을 받았습니다. 고맙습니다.`,
    orderNumber: (number) => `${number}번 주문`,
    piece: (name, count) => `${name} ${count}개`,
    wire: "오간 요청",
    wireLead: "이 페이지가 보낸 요청을 최신순으로 보여 줍니다. 요청마다 인증 정보는 하나만 실립니다. HttpOnly 쿠키는 스크립트에서 읽을 수 없어 값을 표시하지 않습니다.",
    request: "요청",
    carried: "인증 정보",
    answer: "응답",
    took: "시간",
    nothing: "없음",
    unreachable: "응답 없음",
    unreachableTitle: "응답이 없습니다",
    unreachableDetail: "서버가 응답하지 않습니다. 서버가 실행 중인지, 주소가 모두 localhost인지 확인해 주세요.",
    foot: "Stoa는 Propylon의 예제 가게입니다. 쿠키는 이름에 묶이므로 주소에는 항상 localhost를 쓰세요.",
  },
}

export const language = () => {
  const wanted = localStorage.getItem(CHOSEN) ?? navigator.language
  return wanted.startsWith("ko") ? "ko" : "en"
}

export const choose = (tag) => localStorage.setItem(CHOSEN, tag)

export const say = (key, ...facts) => {
  const text = TEXTS[language()][key] ?? key
  return typeof text === "function" ? text(...facts) : text
}

export const won = (amount) =>
  new Intl.NumberFormat(language(), { style: "currency", currency: "KRW", currencyDisplay: "narrowSymbol" }).format(amount)

export const moment = (epoch_s) =>
  new Intl.DateTimeFormat(language(), { dateStyle: "medium", timeStyle: "short" }).format(epoch_s * 1000)

export const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`

// Enough of a secret to tell it from another, and no more.
export const shortened = (secret) => `${secret.slice(0, 10)}…${secret.slice(-6)}`
