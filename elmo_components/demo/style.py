"""The page's style sheet: system fonts, and six colours that most colour-blind people can tell."""

__all__ = ["CSS", "FONTS", "FONTS_MONO"]

# None of these is downloaded.
FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")
FONTS_MONO = ("ui-monospace", "Consolas", "monospace")

# Okabe and Ito 2008
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")

CSS = """
.elmo-head h1 { font-size: 1.5rem; margin: 0; }
.elmo-head p, .elmo-note { opacity: 0.75; margin: 0.25rem 0 0; overflow-wrap: anywhere; }
.elmo-text { line-height: 2.3; font-size: 1.05rem; overflow-wrap: anywhere; margin-bottom: 1rem; }
.elmo-text mark { color: inherit; background: color-mix(in srgb, var(--c) 20%, transparent);
  border-bottom: 2px solid var(--c); border-radius: 4px; padding: 2px 4px; }
.elmo-label { font-size: 0.75rem; margin-left: 0.4em; opacity: 0.85; white-space: nowrap; }
.elmo-chip { background: color-mix(in srgb, var(--c) 20%, transparent); border: 1px solid var(--c);
  border-radius: 999px; padding: 1px 9px; white-space: nowrap; }
.prose table.elmo-table { border-collapse: collapse; border: 0; width: 100%; margin: 0;
  font-size: 0.92rem; }
.prose .elmo-table tr { border: 0; }
.prose .elmo-table th, .prose .elmo-table td { text-align: left; vertical-align: top; border: 0;
  padding: 5px 10px; border-bottom: 1px solid var(--border-color-primary);
  overflow-wrap: anywhere; }
.prose .elmo-table th { font-weight: 600; opacity: 0.75; }
.elmo-sizes td:first-child { white-space: nowrap; }
.prose .elmo-table th.elmo-number, .prose .elmo-table td.elmo-number { text-align: right;
  font-variant-numeric: tabular-nums; }
.elmo-table ul { margin: 0; padding: 0; list-style: none; }
.elmo-map { width: 100%; height: auto; display: block; color: var(--body-text-color);
  border: 1px solid var(--border-color-primary); border-radius: 8px; }
.elmo-point circle { fill: color-mix(in srgb, var(--c) 30%, var(--body-background-fill));
  stroke: var(--c); stroke-width: 2; }
.elmo-point text { font-size: 11px; text-anchor: middle; fill: currentColor; }
.elmo-small .elmo-point text { font-size: 20px; }
.elmo-use { font-size: 12.5px; fill: currentColor; opacity: 0.8; }
.elmo-maps { display: grid; grid-template-columns: repeat(auto-fit, minmax(200px, 1fr));
  gap: 1rem; }
.elmo-maps figure { margin: 0; }
.elmo-maps figcaption { text-align: center; font-size: 0.92rem; }
.elmo-tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr));
  gap: 0.75rem; margin-bottom: 1rem; }
.elmo-tile { border: 1px solid var(--border-color-primary); border-radius: 8px;
  padding: 0.6rem 0.9rem; }
.elmo-tile b { display: block; font-size: 1.25rem; }
.elmo-tile span { opacity: 0.75; font-size: 0.88rem; }
.elmo-columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(280px, 1fr));
  gap: 1rem 2rem; align-items: start; }
.elmo-layer { display: grid; grid-template-columns: 5rem 1fr minmax(8rem, 30%);
  gap: 0.25rem 0.75rem; align-items: center; border: 1px solid var(--border-color-primary);
  border-radius: 8px; padding: 0.6rem 0.9rem; margin-bottom: 0.5rem; }
.elmo-bar { display: flex; align-items: center; gap: 0.5rem; }
.elmo-bar i { display: block; height: 0.9rem; background: #0072b2; border-radius: 3px;
  min-width: 2px; }
.elmo-bar em { font-style: normal; font-variant-numeric: tabular-nums; }
.elmo-input { text-align: center; opacity: 0.75; }
@media (max-width: 640px) {
  .elmo-layer { grid-template-columns: 1fr; }
  .elmo-use { display: none; }
  .elmo-map .elmo-point circle { r: 19px; }
  .elmo-map .elmo-point text { font-size: 20px; }
  .prose .elmo-uses thead { display: none; }
  .prose .elmo-uses tr { display: block; padding: 6px 0;
    border-bottom: 1px solid var(--border-color-primary); }
  .prose .elmo-table.elmo-uses td { display: block; border: 0; padding: 2px 0; }
  .prose .elmo-sizes td:first-child { white-space: normal; overflow-wrap: anywhere; }
  .prose .elmo-uses ul { opacity: 0.75; font-size: 0.88rem; }
}
""" + "\n".join(f".elmo-colour-{place} {{ --c: {code}; }}" for place, code in enumerate(COLOURS))
