// The page that waits for a sign-in in another tab: it looks every two seconds and moves on by itself.
(() => {
  const card = document.querySelector('[data-wait]');
  if (!card) return;
  const words = { failed: 'It did not end well; the other tab says why', over: 'The ten minutes are over' };
  const look = async () => {
    let stands;
    try { stands = await (await fetch(card.dataset.wait, { headers: { accept: 'application/json' } })).json(); } catch { return true; }
    if (stands.to) { location.assign(stands.to); return false; }
    if (!words[stands.state]) return true;
    card.querySelector('[data-wait-state]').textContent = words[stands.state];
    document.getElementById('live').textContent = words[stands.state];
    return false;
  };
  const wait = () => setTimeout(async () => { if (await look()) wait(); }, 2000);
  wait();
})();
