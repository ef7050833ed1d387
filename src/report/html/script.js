'use strict';
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  // Tabs: without this script the panels simply stand below each other.
  for (const group of all('[data-tabs]')) {
    const panels = all(':scope > [data-panel]', group);
    if (panels.length < 2) continue;
    const bar = document.createElement('div');
    bar.className = 'tabs';
    bar.setAttribute('role', 'tablist');
    const show = (chosen) => panels.forEach((panel, index) => {
      panel.hidden = index !== chosen;
      bar.children[index].setAttribute('aria-selected', String(index === chosen));
      bar.children[index].tabIndex = index === chosen ? 0 : -1;
    });
    panels.forEach((panel, index) => {
      const tab = document.createElement('button');
      tab.type = 'button';
      tab.textContent = panel.dataset.panel;
      tab.setAttribute('role', 'tab');
      tab.addEventListener('click', () => show(index));
      tab.addEventListener('keydown', (event) => {
        const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        if (!step) return;
        const next = (index + step + panels.length) % panels.length;
        show(next);
        bar.children[next].focus();
      });
      bar.append(tab);
    });
    group.prepend(bar);
    show(0);
  }

  // Legends switch their curves on and off.
  for (const entry of all('svg [data-switch]')) {
    const series = entry.ownerSVGElement.querySelector(`[data-series="${entry.dataset.switch}"]`);
    entry.setAttribute('role', 'button');
    entry.setAttribute('tabindex', '0');
    entry.setAttribute('aria-pressed', 'true');
    const toggle = () => {
      const off = series.classList.toggle('off');
      entry.classList.toggle('off', off);
      entry.setAttribute('aria-pressed', String(!off));
    };
    entry.addEventListener('click', toggle);
    entry.addEventListener('keydown', (event) => {
      if (event.key !== 'Enter' && event.key !== ' ') return;
      event.preventDefault();
      toggle();
    });
  }

  // Tables sort by their columns.
  const value = (row, column) => row.cells[column].dataset.v ?? row.cells[column].textContent;
  for (const table of all('table[data-sort]')) {
    const heads = all('thead th', table);
    heads.forEach((head, column) => {
      const button = document.createElement('button');
      button.type = 'button';
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener('click', () => {
        const numeric = head.classList.contains('n');
        const old = head.getAttribute('aria-sort');
        const order = old ? (old === 'descending' ? 1 : -1) : (numeric ? -1 : 1);
        heads.forEach((other) => other.removeAttribute('aria-sort'));
        head.setAttribute('aria-sort', order > 0 ? 'ascending' : 'descending');
        const rows = [...table.tBodies[0].rows];
        rows.sort((a, b) => order * (numeric ? value(a, column) - value(b, column)
          : value(a, column).localeCompare(value(b, column))));
        table.tBodies[0].append(...rows);
      });
    });
  }

  // A round that is chosen in the table opens what is told of it.
  for (const link of all('a[data-round]')) {
    link.addEventListener('click', () => {
      all('tr.chosen').forEach((row) => row.classList.remove('chosen'));
      link.closest('tr').classList.add('chosen');
      const detail = document.getElementById(`detail-${link.dataset.round}`);
      all('details[data-detail]').forEach((other) => { other.open = other === detail; });
    });
  }

  // Rounds can be filtered by any text of their row.
  for (const input of all('input[data-filter]')) {
    const rows = all('tbody tr', document.getElementById(input.dataset.filter));
    input.closest('.tools').hidden = false;
    input.addEventListener('input', () => {
      const wanted = input.value.toLowerCase();
      rows.forEach((row) => { row.hidden = !row.textContent.toLowerCase().includes(wanted); });
    });
  }

  // Tips of the figures, at once and beside the pointer.
  const tip = document.createElement('div');
  tip.className = 'tip';
  tip.hidden = true;
  document.body.append(tip);
  for (const title of all('figure svg > title')) title.remove();
  for (const title of all('figure svg title')) {
    title.parentNode.dataset.tip = title.textContent;
    title.remove();
  }
  document.addEventListener('pointermove', (event) => {
    const target = event.target instanceof Element ? event.target.closest('[data-tip]') : null;
    tip.hidden = !target;
    if (!target) return;
    tip.textContent = target.dataset.tip;
    const box = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(4, Math.min(event.clientX + 14, innerWidth - box.width - 8))}px`;
    tip.style.top = `${event.clientY + 18 + box.height > innerHeight ? event.clientY - box.height - 10 : event.clientY + 18}px`;
  });

  addEventListener('beforeprint', () => all('details[data-detail]').forEach((detail) => { detail.open = true; }));
})();
