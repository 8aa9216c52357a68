"""The HTML and CSS of gallery.html; `gallery` fills it in."""

from string import Template

STYLE = """\
:root {
  color-scheme: light dark;
  --page: #f4f4f2; --card: #fff; --ink: #1b1c1e; --quiet: #62656a; --line: #dedfdc;
  --well: #ecece9; --accent: #1a6b50; --on-accent: #fff;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #131416; --card: #1c1e21; --ink: #e7e8e9; --quiet: #9ca1a8; --line: #303338;
    --well: #121315; --accent: #6fcfaa; --on-accent: #0c2018;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: clamp(1rem, 3vw, 2.5rem); max-width: 120rem;
  background: var(--page); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere;
}
h1, h2, h3, p, ul, figure, pre { margin: 0; }
h1 { font-size: 1.9rem; line-height: 1.2; letter-spacing: -.01em; }
h2 { margin-top: 2.5rem; font-size: 1.3rem; }
h2 + p { margin-bottom: 1rem; }
h3 { font-size: 1.1rem; font-variant-numeric: tabular-nums; }
a { color: inherit; }
img { display: block; max-width: 100%; height: auto; margin: auto; image-rendering: pixelated; }
header { display: flex; flex-wrap: wrap; gap: 1.5rem 3rem; align-items: flex-start; }
header > div { flex: 1 1 20rem; display: grid; gap: .9rem; max-width: 44rem; }
figcaption { margin-top: .4rem; }
.quiet, figcaption { color: var(--quiet); font-size: .875rem; }
.cards {
  display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, var(--width)), 1fr));
}
.card {
  display: flex; flex-direction: column; background: var(--card);
  border: 1px solid var(--line); border-radius: .6rem; overflow: hidden;
}
.card.best { border-color: var(--accent); box-shadow: 0 0 0 1px var(--accent); }
.picture { background: var(--well); padding: .75rem; }
.facts { display: grid; gap: .6rem; padding: .9rem 1rem 1rem; }
.top { display: flex; flex-wrap: wrap; gap: .2rem .7rem; align-items: baseline; }
.badge {
  background: var(--accent); color: var(--on-accent); border-radius: 1rem;
  padding: .05rem .65rem; font-size: .8rem; font-weight: 600;
}
.scores {
  display: grid; gap: .35rem .8rem; padding: 0; margin-bottom: .35rem; list-style: none;
  grid-template-columns: repeat(auto-fill, minmax(8.2rem, 1fr));
}
header .scores { margin-top: .4rem; }
.scores span, .scores b { display: block; line-height: 1.3; }
.scores span { color: var(--quiet); font-size: .8rem; }
.scores b { font-weight: 600; font-variant-numeric: tabular-nums; }
pre {
  padding: .5rem .65rem; background: var(--well); border-radius: .35rem;
  white-space: pre-wrap; font: .8rem/1.45 ui-monospace, monospace;
}
pre code { font: inherit; user-select: all; }
"""

PAGE = Template("""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
$style</style>
</head>
<body>
<header>
<div>
<h1>$title</h1>
<p>$facts</p>
<p>Quality comes and goes while a GAN trains, and the last step is not always the best: look at
the samples, which are of the same latents at every step, and export the checkpoint that you
like.</p>
$floor</div>
$reals</header>
<main>
$sections</main>
</body>
</html>
""")

SECTION = Template("""\
<section>
<h2>$heading</h2>
<p class="quiet">$note</p>
<div class="cards" style="--width: ${width}px">
$cards</div>
</section>
""")

CARD = Template("""\
<article class="card$mark" id="step-$step">
$picture<div class="facts">
<div class="top"><h3>Step $shown</h3>$badge<span class="quiet">$losses</span></div>
$scores$commands</div>
</article>
""")
