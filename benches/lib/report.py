"""Writes what was measured as a page and as a chart."""

import html
import os
import subprocess
import time
from math import ceil
from statistics import median

import measure


def machine():
    with open("/proc/cpuinfo") as cpuinfo:
        models = [line.split(":")[1].strip() for line in cpuinfo if line.startswith("model name")]
    rustc = subprocess.run(["rustc", "--version"], capture_output=True, text=True).stdout.split()[1]
    system = os.uname()
    return (
        f"{models[0] if models else system.machine}, {os.cpu_count()} cores, Linux {system.release}, "
        f"Rust {rustc}, {time.strftime('%Y-%m-%d')}. Load average before the run: {os.getloadavg()[0]:.1f}."
    )


def page(machine, args, results, before):
    """The page, with what was measured now in the place of what stands in the page of before."""
    sections = {title: text for title, text in split(before)}
    if results.get("hot"):
        sections[HOT[0]] = hot(results["hot"], results.get("instructions", {}))
    if results.get("cold"):
        sections[COLD[0]] = cold(results["cold"])
    if "herd" in results:
        sections[HERD[0]] = herd(results["herd"])
    if "memory" in results:
        sections[MEMORY[0]] = memory(results["memory"], results["churn"], results["many_users"])
    for title in measured(results):
        sections[title] += f"\n{args.rounds} runs of {args.seconds} s. Measured on {machine}\n"
    head = HEAD.format(args=args, connections=measure.CONNECTIONS)
    order = [title for title, _ in (HOT, COLD, HERD, MEMORY) if title in sections]
    return "\n".join([head, *(f"## {title}\n\n{sections[title].strip()}\n" for title in order)])


def measured(results):
    parts = {"hot": HOT, "cold": COLD, "herd": HERD, "memory": MEMORY}
    return [title for part, (title, _) in parts.items() if results.get(part)]


def split(page):
    """The title and the text of each section."""
    for section in page.split("\n## ")[1:]:
        title, _, text = section.partition("\n")
        yield title, text


def hot(rows, instructions):
    by_name = {(row.framework, row.name): row for row in rows}
    lines = []
    for row in rows:
        bare, user = by_name[row.framework, "bare"], by_name[row.framework, "bare-user"]
        count = instructions.get((row.framework, row.name))
        lines.append([
            row.framework,
            row.title,
            f"{median(row.cpu):.2f}",
            f"{row.ratio(bare):.2f}",
            f"{row.ratio(user):.2f}",
            f"{count / instructions[row.framework, 'bare']:.2f}" if count else "",
            f"{count / instructions[row.framework, 'bare-user']:.2f}" if count else "",
            f"{count:,.0f}" if count else "",
            f"{median(row.rate):,.0f}",
            f"{median(row.p99):.2f}",
            f"{spread(row.cpu):.0%}",
        ])
    columns = ["", "", "CPU us", "of bare", "of bare + user", "instr. of bare", "of bare + user"]
    columns += ["instructions", "requests/s", "p99 ms", "spread"]
    nest, nested = by_name["axum", "nest"], by_name["axum", "bare-nested"]
    beside = f"{nest.ratio(nested):.2f}"
    if instructions:
        beside += f", by instructions {instructions['axum', 'nest'] / instructions['axum', 'bare-nested']:.2f}"
    return f"{HOT[1]}\n{table(columns, lines)}\n{NESTED % beside}"


def cold(rows):
    by_name = {(row.framework, row.name, row.memory): row for row in rows}
    lines = []
    for row in rows:
        direct = by_name[row.framework, "uncached", row.memory]
        cells = [f"{median(row.cpu):.2f}", f"{row.ratio(direct):.2f}", f"{median(row.rate):,.0f}"]
        lines.append([row.framework, row.title, said(row), *cells, f"{spread(row.cpu):.0%}"])
    return f"{COLD[1]}\n{table(['', '', '', 'CPU us', 'of by hand', 'requests/s', 'spread'], lines)}"


def herd(herds):
    lines = []
    latency = measure.HERD_LATENCY_MS
    burst = {row.framework: median(row.last) for row in herds if row.name == "bare"}
    for row in herds:
        calls = ", ".join(str(call) for call in sorted(row.calls))
        limit = "-"
        if row.name == "ours":
            limit = f"{ceil(row.users / measure.AT_ONCE) * latency + 1.2 * burst[row.framework]:.0f}"
        times = [f"{median(row.p99):.0f}", f"{median(row.last):.0f}", limit]
        lines.append([row.framework, row.title, f"{row.size:,}", row.users, calls, *times])
    columns = ["", "", "requests", "of users", "calls to Courier", "p99 ms", "last ms", "goal: p99 up to ms"]
    return f"{HERD[1]}\n{table(columns, lines)}"


def memory(held, churn, many_users):
    lines = []
    for users, title, (steps, look) in held:
        lines.append([f"{users:,}", title, f"{per_user(steps):,.0f}", f"{look:,.0f}"])
    text = f"{MEMORY[1]}\n{table(['users', '', 'bytes each', 'ns a look'], lines)}"
    lines = [[f"{users:,.0f}", f"{held:,.0f}", f"{bytes / 1e6:,.1f}"] for users, bytes, held in churn]
    text += f"\n{CHURN}\n{table(['users so far', 'held', 'MB'], lines)}"
    lines = []
    for few, many in many_users:
        for users, row in [few, many]:
            ratio = f"{row.ratio(few[1]):.2f}"
            rate = median(mine / its for mine, its in zip(row.rate, few[1].rate))
            figures = [f"{median(row.cpu):.2f}", ratio, f"{median(row.rate):,.0f}", f"{rate:.2f}"]
            lines.append([row.title, said(row), f"{users:,}", *figures])
    columns = ["", "", "users", "CPU us", "of few users", "requests/s", "of few users"]
    return f"{text}\n{MANY_USERS}\n{table(columns, lines)}"


def said(row):
    return {"": "", measure.MIMALLOC: "mimalloc", measure.HUGE_PAGES: "huge pages"}[row.memory]


def per_user(steps):
    (_, before, few), *_, (_, after, held) = steps
    return (after - before) / (held - few)


def table(columns, rows):
    """Without the columns that nothing was measured for; numbers to the right."""
    kept = [at for at in range(len(columns)) if any(row[at] != "" for row in rows)]
    left = {at for at in kept if columns[at] == ""}
    lines = [[columns[at] for at in kept], [":--" if at in left else "--:" for at in kept]]
    lines += [[str(row[at]) for at in kept] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def spread(values):
    return (max(values) - min(values)) / median(values)


def chart(rows):
    """CPU per request as bars, the bare handlers' as a line."""
    left, width, bar, gap = 330, 360, 20, 8
    longest = max(median(row.cpu) for row in rows)
    scale = width / longest
    shapes, y = [], 44
    for framework in dict.fromkeys(row.framework for row in rows):
        group = [row for row in rows if row.framework == framework]
        bare = next(row for row in group if row.name == "bare")
        shapes.append(f'<text class="h" x="16" y="{y + 15}">{framework}</text>')
        y += 26
        top = y
        for row in group:
            cpu = median(row.cpu)
            kind = "ours" if "**" in row.title else "bare" if row.name.startswith("bare") else "hand"
            title = html.escape(row.title.replace("*", "").replace("`", ""))
            beside = f"{cpu:.1f} us" + ("" if row is bare else f", {row.ratio(bare):.2f} x bare")
            shapes.append(f'<text x="{left - 8}" y="{y + 15}" text-anchor="end">{title}</text>')
            shapes.append(f'<rect class="{kind}" x="{left}" y="{y}" width="{cpu * scale:.1f}" height="{bar}"/>')
            shapes.append(f'<text x="{left + cpu * scale + 6:.1f}" y="{y + 15}">{beside}</text>')
            y += bar + gap
        x = left + median(bare.cpu) * scale
        shapes.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top - 4}" y2="{y - gap + 4}"/>')
        y += 12
    title = f'<text class="h" x="16" y="26">CPU per request, cached token, one core (less is better)</text>'
    return SVG.format(width=left + width + 150, height=y, shapes="\n".join([title, *shapes]))


HEAD = """# Benchmarks

What the token route costs compared with a handler that does nothing and with a hand-written route. This page is
written by `benches/run`, which builds everything and takes about forty minutes.

![CPU per request](benchmarks.svg)

One core runs the server (axum on Tokio's current-thread runtime, actix-web with one worker), another drives it with
`wrk`: {connections} connections that stay open, {args.users:,} users in a scrambled order. A round measures the rows one after the other,
and each round begins with another row. All rows answer with the same headers and the same number of bytes. All but the
two constants take the user from the same request header, and the caches have room for twice the users. Figures are
medians, and ratios are medians of the ratios within a round, so that disturbances of the machine affect both sides.
*Spread* is how far apart the runs of a row were. Compare the ratios: the microseconds depend on this machine.
"""

HOT = "Cached token", """*CPU* is what the server used per request, in user space and in the kernel; *of bare + user* is the ratio to the bare
handler that takes the user. *Instructions* are those outside the kernel, counted by callgrind for sequential requests;
they are reproducible where times are not. Requests/s and p99 also depend on the load generator, which has one core
itself.
"""

NESTED = """A nested router costs every handler in it the same: the ratio of `.nest` to the bare handler in one is %s.
"""

COLD = "Token issued by Courier", """Each request is one call to an emulator of Courier on the other core, for a user who has no token. In a *full* cache,
with the default room for 10,000 users, each user replaces another; a *growing* cache has room for all of them.
The hand-written route with a cache says what it costs to keep anything at all: it has no refresh, no limits and one
call for each caller.

Part of the cost of keeping tokens is glibc's allocator: a token that stays lies amid memory that its call has given
back. That memory is then handed out in small pieces, which the processor's caches no longer hold. *mimalloc* is the same servers
with [that allocator](https://docs.rs/mimalloc), compared with the hand-written route that has it too.
"""

HERD = "Many at once", f"""Connections that are already open send their first request at the same moment; nothing is cached, and Courier takes
{measure.HERD_LATENCY_MS} ms. *p99* and *last* say when responses arrived, counted from the first request. The *goal*, missed where *p99* is above
it, is the time that Courier's calls take, {measure.AT_ONCE} of which run at once, plus 1.2 times what the bare handler takes to its
last response.
"""

MEMORY = "Memory", """The memory that the process holds for each user beyond the first thousand, including the allocator's own overhead. What
exists only once counts for the first thousand. The emulator's tokens have about 400 bytes, like Courier's. A *look* is
one call of `token()`, or of the other caches' `get`, for users in a scrambled order.
"""

CHURN = f"""Users come and go, and the cache has room for {measure.CHURN_ROOM:,} of them:
"""

MANY_USERS = """axum over HTTP, with few users and with many. With a million users, the extra cost is waiting for the machine's memory,
even in the simplest cache. With *huge pages*, which is `GLIBC_TUNABLES=%s`, that wait is shorter:
""" % measure.HUGE_PAGES

SVG = """<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">
<style>
text {{ font: 13px sans-serif; fill: #1f2328 }}
.h {{ font-weight: bold }}
.bare {{ fill: #8c959f }}
.hand {{ fill: #d4a72c }}
.ours {{ fill: #1a7f37 }}
line {{ stroke: #57606a; stroke-dasharray: 3 3 }}
</style>
<rect width="{width}" height="{height}" fill="#ffffff"/>
{shapes}
</svg>
"""
