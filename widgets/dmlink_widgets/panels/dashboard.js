// Arranges the panels of a dashboard in columns: each goes to the shortest column and stays there, so that a panel
// that grows moves only those below it.
const GAP = 12; // px below a panel
const SETTLED_MS = 3000; // ms after which a panel has its final size

export default {
  render({ el }) {
    const appeared = new Map(); // when, by panel
    let board = null;
    let gone = false;
    let columns = 0;

    const arrange = () => {
      const before = columns;
      columns = getComputedStyle(board).gridTemplateColumns.split(" ").length; // as many columns as there is room for
      const ends = Array(columns).fill(1);
      for (const panel of appeared.keys()) {
        const stays = columns === before && performance.now() - appeared.get(panel) > SETTLED_MS;
        const column = stays ? Number(panel.dataset.column) : ends.indexOf(Math.min(...ends)) + 1;
        const rows = panel.offsetHeight + GAP; // rows of one pixel
        panel.dataset.column = column;
        panel.style.gridArea = `${ends[column - 1]} / ${column} / span ${rows}`;
        ends[column - 1] += rows;
      }
      board.classList.add("dmlink-arranged");
    };
    const sizes = new ResizeObserver(arrange);
    const look = () => {
      const panels = [...board.children].filter((child) => child.classList.contains("dmlink-panel"));
      for (const panel of [...appeared.keys()].filter((known) => !panels.includes(known))) {
        appeared.delete(panel);
        sizes.unobserve(panel);
      }
      for (const panel of panels.filter((found) => !appeared.has(found))) {
        appeared.set(panel, performance.now());
        sizes.observe(panel);
      }
      arrange();
    };
    const children = new MutationObserver(look);
    const find = () => {
      board = el.closest(".dmlink-dashboard"); // null until the element is in the page
      if (board) {
        look();
        sizes.observe(board);
        children.observe(board, { childList: true });
      } else if (!gone) requestAnimationFrame(find);
    };
    find();
    return () => {
      gone = true;
      sizes.disconnect();
      children.disconnect();
    };
  },
};
