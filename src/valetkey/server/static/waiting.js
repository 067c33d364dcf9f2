// The page that says that the store is down: asks whether it is back, and then loads what was asked for.
(() => {
  const sheet = document.querySelector('[data-ready]');
  const next = document.getElementById('next');
  const every = Number(sheet.dataset.every) || 5;
  let left = every;
  setInterval(async () => {
    left -= 1;
    if (left > 0) { next.textContent = `The next try is in ${left} s.`; return; }
    left = every;
    next.textContent = 'Trying now.';
    try {
      if ((await fetch(sheet.dataset.ready, { cache: 'no-store' })).ok) location.replace(location.href);
    } catch { /* the server itself is away: the next try tells */ }
  }, 1000);
})();
