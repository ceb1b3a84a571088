//! The tables and the plot: `results.md`, `results.svg`, and the part of the README between its two marks.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use crate::{PEERS, Peer, SIZES};

const README: &str = "../../README.md";
const BEGIN: &str = "<!-- Written by benches/peers/run from here -->\n";
const END: &str = "<!-- to here. -->\n";

/// The figures in the order of the rounds, by the name of the program and that of the figure.
struct Figures(HashMap<String, Vec<f64>>);

/// The median of some rounds, the least and the greatest.
struct Spread {
    median: f64,
    min: f64,
    max: f64,
}

impl Spread {
    fn new(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
        let last = values.len().saturating_sub(1);
        let median = (at(last / 2) + at(last.div_ceil(2))) / 2.0;
        Self { median, min: at(0), max: at(last) }
    }

    fn ratio(&self) -> String {
        let [median, min, max] = [self.median, self.min, self.max].map(digits);
        format!("{median} ({min}–{max})")
    }
}

/// Two significant digits of what is less than a hundred, else three.
fn digits(value: f64) -> String {
    if value >= 99.5 {
        return count(value);
    }
    let decimals = (1.0 - value.log10().floor()).max(0.0);
    format!("{value:.0$}", decimals as usize)
}

/// Three significant digits, with a comma between thousands.
fn count(value: f64) -> String {
    let unit = 10_f64.powf((value.log10().floor() - 2.0).max(0.0));
    let whole = format!("{:.0}", (value / unit).round() * unit);
    let mut text = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

impl Figures {
    fn new(tsv: &str) -> Self {
        let mut figures = HashMap::<_, Vec<f64>>::new();
        for line in tsv.lines() {
            let (key, value) = line.rsplit_once('\t').expect("three fields");
            figures.entry(key.to_owned()).or_default().push(value.parse().expect("a number"));
        }
        Self(figures)
    }

    fn of(&self, peer: &str, figure: &str) -> &[f64] {
        self.0.get(&format!("{peer}\t{figure}")).map_or(&[], Vec::as_slice)
    }

    fn rounds(&self) -> usize {
        self.of(PEERS[0].name, "p50").len()
    }

    fn spread(&self, peer: &Peer, figure: &str) -> Spread {
        Spread::new(self.of(peer.name, figure).to_vec())
    }

    /// By the bare loop in the same round.
    fn ratio(&self, peer: &Peer, figure: &str) -> Spread {
        let bare = self.of(PEERS[0].name, figure);
        let ratios = self.of(peer.name, figure).iter().zip(bare).map(|(value, bare)| value / bare);
        Spread::new(ratios.collect())
    }
}

/// Writes all three files.
pub fn write(tsv: &str) {
    let figures = Figures::new(tsv);
    let machine = machine(figures.rounds());
    fs::write("results.md", details(&figures, &machine)).expect("results.md");
    fs::write("results.svg", plot(&figures)).expect("results.svg");
    let readme = fs::read_to_string(README).expect("the README");
    let (before, rest) = readme.split_once(BEGIN).expect("a first mark in the README");
    let (_, after) = rest.split_once(END).expect("a second mark in the README");
    let table = summary(&figures, &machine);
    fs::write(README, format!("{before}{BEGIN}{table}{END}{after}")).expect("the README");
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("running {program} failed: {error}"));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn machine(rounds: usize) -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.unwrap_or_default().trim_start_matches([' ', '\t', ':']);
    let virtual_machine =
        if cpuinfo.contains(" hypervisor") { " of a virtual machine" } else { "" };
    format!(
        "{rounds} rounds on {}; {cores} cores{virtual_machine} ({model}), Linux {}, {}, node {}, {}",
        output("date", &["+%-d %B %Y"]),
        output("uname", &["-r"]).split('-').next().unwrap_or_default(),
        output("rustc", &["--version"]).split(" (").next().unwrap_or_default(),
        output("node", &["--version"]),
        output("python3", &["--version"]),
    )
}

fn name(peer: &Peer) -> String {
    if peer.own { format!("**{}**", peer.name) } else { peer.name.to_owned() }
}

/// What the README has.
fn summary(figures: &Figures, machine: &str) -> String {
    let mut text = String::from("| | delivers |");
    for (_, size) in SIZES {
        write!(text, " events/s, {size} |").expect("a string grows");
    }
    text.push_str(" CPU per event of 1 KiB | latency p50, p99 | idle memory |\n|---|---|");
    text.push_str(&"--:|".repeat(SIZES.len() + 3));
    text.push('\n');
    for (index, peer) in PEERS.iter().enumerate() {
        write!(text, "| {} | {} |", name(peer), peer.takes.name()).expect("a string grows");
        for (size, _) in SIZES {
            let key = format!("rate {size}");
            let rate = match index {
                0 => count(figures.spread(peer, &key).median),
                _ => figures.ratio(peer, &key).ratio(),
            };
            write!(text, " {rate} |").expect("a string grows");
        }
        writeln!(
            text,
            " {} µs | {}, {} µs | {} MiB |",
            digits(figures.spread(peer, "cpu 1024").median),
            digits(figures.spread(peer, "p50").median),
            digits(figures.spread(peer, "p99").median),
            digits(figures.spread(peer, "resident").median),
        )
        .expect("a string grows");
    }
    writeln!(text, "\n{machine}.").expect("a string grows");
    text
}

/// All figures.
fn details(figures: &Figures, machine: &str) -> String {
    let mut text = format!(
        "# Measured beside others\n\nWritten by `bash benches/peers/run`: {machine}. What is measured, and how, is in \
         [README.md](README.md).\n\nEach cell has the median of the rounds; then, as a ratio to the bare loop in the same \
         round, the median (and the least and the greatest).\n"
    );
    let by_size = |kind: &str| -> Vec<_> {
        SIZES.iter().map(|(size, name)| (format!("{kind} {size}"), (*name).to_owned())).collect()
    };
    table(&mut text, figures, "Events a second", &by_size("rate"), count);
    table(&mut text, figures, "CPU time per event, µs", &by_size("cpu"), digits);
    let late =
        [("p50", "p50"), ("p99", "p99")].map(|(key, name)| (key.to_owned(), name.to_owned()));
    table(&mut text, figures, "Latency at 1,000 events a second, µs", &late, digits);
    let resident = [("resident".to_owned(), "MiB".to_owned())];
    table(&mut text, figures, "Resident memory, idle", &resident, digits);
    text
}

fn table(
    text: &mut String,
    figures: &Figures,
    title: &str,
    columns: &[(String, String)],
    format: fn(f64) -> String,
) {
    write!(text, "\n## {title}\n\n| |").expect("a string grows");
    for (_, column) in columns {
        write!(text, " {column} |").expect("a string grows");
    }
    writeln!(text, "\n|---|{}", "---|".repeat(columns.len())).expect("a string grows");
    for peer in PEERS {
        write!(text, "| {} |", name(peer)).expect("a string grows");
        for (key, _) in columns {
            let (value, ratio) = (figures.spread(peer, key), figures.ratio(peer, key));
            write!(text, " {}; {} |", format(value.median), ratio.ratio()).expect("a string grows");
        }
        text.push('\n');
    }
}

const WIDTH: f64 = 760.0;
/// Where bars begin, and how long the longest may be.
const LEFT: f64 = 220.0;
const SPAN: f64 = 390.0;
const ROW: f64 = 22.0;

/// Bars of the events a second by the bare loop. The colors follow the reader's choice of light or dark, and so does the
/// background, which is why it is readable on any page.
fn plot(figures: &Figures) -> String {
    let group = ROW * (PEERS.len() as f64) + 34.0;
    let height = 52.0 + group * SIZES.len() as f64;
    let mut svg = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img" aria-label="Events per second, as a share of a bare tungstenite loop">
<style>
  svg {{ font: 13px system-ui, sans-serif; --paper: #ffffff; --ink: #1f2328; --dim: #59636e; --own: #0969da; --other: #8c959f; --line: #d1d9e0; }}
  @media (prefers-color-scheme: dark) {{ svg {{ --paper: #0d1117; --ink: #f0f6fc; --dim: #9198a1; --own: #4493f8; --other: #656c76; --line: #3d444d; }} }}
  .paper {{ fill: var(--paper); }} text {{ fill: var(--ink); }} .dim {{ fill: var(--dim); font-size: 12px; }} .title {{ font-weight: 600; }}
  .own {{ fill: var(--own); }} .other {{ fill: var(--other); }} .spread {{ stroke: var(--ink); }} .line {{ stroke: var(--line); }}
</style>
<rect class="paper" width="{WIDTH}" height="{height}" rx="6"/>
<text class="title" x="16" y="26">Events per second, as a share of a bare tungstenite loop</text>
<text class="dim" x="{}" y="26" text-anchor="end">median of {} rounds; slowest to fastest</text>
"#,
        WIDTH - 16.0,
        figures.rounds(),
    );
    let scale = PEERS.iter().flat_map(|peer| {
        SIZES.iter().map(|(size, _)| figures.ratio(peer, &format!("rate {size}")).max)
    });
    let scale = SPAN / scale.fold(1.0, f64::max);
    for (index, (size, name)) in SIZES.iter().enumerate() {
        let top = 46.0 + group * index as f64;
        bars(&mut svg, figures, *size, name, top, scale);
    }
    svg.push_str("</svg>\n");
    svg
}

fn bars(svg: &mut String, figures: &Figures, size: usize, name: &str, top: f64, scale: f64) {
    let bottom = top + 26.0 + ROW * PEERS.len() as f64;
    writeln!(svg, r#"<text class="title" x="16" y="{:.1}">{name} of data</text>"#, top + 16.0)
        .expect("a string grows");
    writeln!(svg, r#"<path class="line" d="M{LEFT} {:.1}V{bottom:.1}"/>"#, top + 24.0)
        .expect("a string grows");
    for (index, peer) in PEERS.iter().enumerate() {
        let key = format!("rate {size}");
        let (ratio, rate) = (figures.ratio(peer, &key), figures.spread(peer, &key).median);
        let y = top + 26.0 + ROW * index as f64;
        let end = |value: f64| LEFT + value * scale;
        let class = if peer.own { "own" } else { "other" };
        let label = peer.name.replace('`', "");
        write!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>\n\
             <rect class=\"{class}\" x=\"{LEFT}\" y=\"{:.1}\" width=\"{:.1}\" height=\"14\"/>\n\
             <path class=\"spread\" d=\"M{:.1} {:.1}H{:.1}\"/>\n\
             <text class=\"dim\" x=\"{:.1}\" y=\"{:.1}\">{} · {}/s</text>\n",
            LEFT - 8.0,
            y + 14.0,
            y + 3.0,
            ratio.median * scale,
            end(ratio.min),
            y + 10.0,
            end(ratio.max),
            end(ratio.max) + 8.0,
            y + 14.0,
            digits(ratio.median),
            count(rate),
        )
        .expect("a string grows");
    }
}
