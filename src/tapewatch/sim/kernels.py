"""The simulated market's laws, compiled: one call moves every instrument by one step.

What makes it look like a market: market orders excite more of their own side (a Hawkes process); sizes are lognormal
with a Pareto tail; orders consume a book that refills around a fair price; fair prices share one factor, which now and
then shocks; large orders are worked in children; stretched moves liquidate positions, whose orders stretch them on.

All randomness comes from `world.rng`, in an order no subscriber can change: one seed and one start give one market.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ..compiled import Record, kernel
from .layout import (
    ADL,
    INSURANCE_FUND,
    MARKET,
    OPEN_AGGREGATES,
    PARENTS,
    PER_STEP,
    REACH,
    RING,
    UNDO,
    WANT_QUOTES,
    WANT_TRADES,
    State,
)

_MASK = RING - 1
_BID_BITS, _ASK_BITS = 0x0F, 0xF0
_EDGE = 200
"""Orders stop this far from where a book ends, so that neither side is ever empty."""

FIRST_UPDATE_ID = 11_671_659_685_961
_US_PER_UPDATE = 10
"""The venue counts about 100,000 updates a second over all its symbols."""

_MERGE_MS = 100
_LATENCY_MS, _LATENCY_SPREAD_MS = 120, 36
"""An aggregate trade is sent 120 to 155 ms after its first fill."""

_YEAR_S = 365.0 * 86400
_FACTOR_SIGMA = 0.30 / math.sqrt(_YEAR_S)
_MEMORY_S = 1.2
_OWN_EXCITEMENT, _CROSS_EXCITEMENT = 0.42, 0.18
"""Orders that each order brings about, of its own side and of the other: a branching ratio of 0.6."""

_golden, _mix1, _mix2 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_s30, _s27, _s31, _s11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)


@kernel
def uniform(world: Record) -> float:
    """The next number of the market's own splitmix64 sequence, in [0, 1)."""
    world.rng = world.rng + _golden
    z = world.rng
    z = (z ^ (z >> _s30)) * _mix1
    z = (z ^ (z >> _s27)) * _mix2
    z = z ^ (z >> _s31)
    return np.float64(z >> _s11) * (1.0 / 9007199254740992.0)


@kernel
def normal(world: Record) -> float:
    return math.sqrt(-2.0 * math.log(1.0 - uniform(world))) * math.cos(2.0 * math.pi * uniform(world))


@kernel
def poisson(world: Record, mean: float) -> int:
    floor = math.exp(-min(mean, 60.0))
    count, product = 0, uniform(world)
    while product > floor:
        count += 1
        product *= uniform(world)
    return count


@kernel
def standing(world: Record, symbol: Record, price: int, distance: int) -> int:
    """Quantity somebody leaves at a level: more at the touch and at round prices, now and then a wall."""
    lots = symbol.level_lots * (0.7 + 6.0 * math.exp(-distance / 3.0)) * math.exp(normal(world) - 0.5)
    if price % 50 == 0:
        lots *= 4.0
    if uniform(world) < 0.001:
        lots *= 25.0
    return int(1.0 + lots)


@kernel
def seed_book(m: State, i: int, ticks: int, now_us: int) -> None:
    """Put a fresh book around `ticks`; whatever stood before is forgotten, and no stream is told."""
    world, symbol = m.world[0], m.symbols[i]
    m.books[i, :] = 0
    m.dirty[i, :] = 0
    m.slots[i, :] = 0
    bid = ticks - symbol.spread // 2
    ask = bid + symbol.spread
    symbol.anchor, symbol.bid, symbol.ask, symbol.fair = ticks, bid, ask, (bid + ask) * 0.5
    for price in range(max(1, ticks - REACH), ticks + REACH + 1):
        if bid < price < ask or (price not in (bid, ask) and uniform(world) > 0.7):
            continue
        if price <= bid:
            m.books[i, price & _MASK] = standing(world, symbol, price, bid - price)
        else:
            m.books[i, price & _MASK] = -standing(world, symbol, price, price - ask)
    symbol.last_u = max(symbol.last_u + 1, FIRST_UPDATE_ID + (now_us - world.start_us) // _US_PER_UPDATE)
    symbol.last_us = now_us


@kernel
def set_level(m: State, i: int, price: int, qty: int, us: int) -> None:
    """Give a level its new signed quantity under a fresh update id, and tell every stream that must know."""
    world, symbol = m.world[0], m.symbols[i]
    at = price & _MASK
    was = m.books[i, at]
    if was == qty:
        return
    u = max(symbol.last_u + 1, FIRST_UPDATE_ID + (us - world.start_us) // _US_PER_UPDATE)
    change = m.undo[world.changes & (UNDO - 1)]
    change.symbol, change.price, change.was, change.us, change.u = i, price, was, us, u
    change.prev_u, change.prev_us = symbol.last_u, symbol.last_us
    world.changes += 1
    m.books[i, at] = qty
    sides = 0
    if was > 0 or qty > 0:
        sides |= _BID_BITS
    if was < 0 or qty < 0:
        sides |= _ASK_BITS
    m.dirty[i, at] |= np.uint8(sides)
    for speed in range(m.slots.shape[1]):
        if m.slots[i, speed] == 0:
            m.slots[i, speed] = u
    symbol.last_u, symbol.last_us = u, us
    touched = False
    if qty > 0:
        touched = price >= symbol.bid
        symbol.bid = max(symbol.bid, price)
    elif qty < 0:
        touched = price <= symbol.ask
        symbol.ask = min(symbol.ask, price)
    elif price == symbol.bid:
        touched = True
        while m.books[i, price & _MASK] <= 0:
            price -= 1
        symbol.bid = price
    elif price == symbol.ask:
        touched = True
        while m.books[i, price & _MASK] >= 0:
            price += 1
        symbol.ask = price
    if touched and symbol.want & WANT_QUOTES != 0:
        if world.quotes == PER_STEP:
            world.overflow += 1
            return
        quote = m.quotes[world.quotes]
        world.quotes += 1
        quote.symbol, quote.u, quote.ts_ms = i, u, us // 1000
        quote.bid, quote.bid_qty = symbol.bid * symbol.tick_units, m.books[i, symbol.bid & _MASK]
        quote.ask, quote.ask_qty = symbol.ask * symbol.tick_units, -m.books[i, symbol.ask & _MASK]


@kernel
def clear_touch(m: State, i: int, bid_side: bool, us: int) -> None:
    """Take away the best level of a side; where nobody stands behind it, somebody comes: no side is ever empty."""
    symbol = m.symbols[i]
    price, away = (symbol.bid, -1) if bid_side else (symbol.ask, 1)
    behind = price + away
    while abs(behind - symbol.anchor) <= REACH and m.books[i, behind & _MASK] == 0:
        behind += away
    if abs(behind - symbol.anchor) > REACH:
        behind = price + away
        set_level(m, i, behind, -away * standing(m.world[0], symbol, behind, 0), us)
    set_level(m, i, price, 0, us)


@kernel
def send_aggregate(m: State, i: int) -> None:
    """Close the oldest open aggregate of a symbol: it gets the next id, and REST may now tell it."""
    world, symbol = m.world[0], m.symbols[i]
    closed = m.open[i, symbol.open_from % OPEN_AGGREGATES]
    symbol.open_from += 1
    symbol.aggregate_id += 1
    closed.id = symbol.aggregate_id
    m.past[symbol.past_at + closed.id % symbol.past_room] = closed
    if world.aggregates == PER_STEP:
        world.overflow += 1
        return
    m.aggregates[world.aggregates] = closed
    world.aggregates += 1


@kernel
def send_fill(m: State, i: int, price: int, qty: int, sell: int, ms: int, cause: int) -> None:
    """One raw print; ids now and then skip one."""
    world, symbol = m.world[0], m.symbols[i]
    symbol.trade_id += 1 if uniform(world) > 0.004 else 2
    if symbol.want & WANT_TRADES != 0:
        if world.fills == PER_STEP:
            world.overflow += 1
            return
        fill = m.fills[world.fills]
        world.fills += 1
        fill.symbol, fill.id, fill.price, fill.qty = i, symbol.trade_id, price, qty
        fill.ts_ms, fill.sell, fill.cause = ms, sell, cause


@kernel
def trade(m: State, i: int, ticks: int, qty: int, public_qty: int, sell: int, us: int) -> None:
    """`qty` lots change hands at one price: raw prints, the running bar, and an aggregate to open or to grow."""
    world, symbol, bar = m.world[0], m.symbols[i], m.bars[i]
    price, ms = ticks * symbol.tick_units, us // 1000
    parts = 1
    if uniform(world) < 0.4:
        parts += int(uniform(world) * 5.0)
    parts = min(parts, qty)
    first = 0
    for part in range(parts):
        share = qty // parts if part else qty - (qty // parts) * (parts - 1)
        send_fill(m, i, price, share, sell, ms, MARKET)
        if part == 0:
            first = symbol.trade_id
    if bar.trades == 0:
        bar.open, bar.high, bar.low, bar.first = price, price, price, first
    bar.high, bar.low, bar.close = max(bar.high, price), min(bar.low, price), price
    bar.qty += qty
    bar.quote += price * qty
    if not sell:
        bar.buy_qty += qty
        bar.buy_quote += price * qty
    bar.trades += parts
    bar.last = symbol.trade_id
    for at in range(symbol.open_to - 1, symbol.open_from - 1, -1):
        aggregate = m.open[i, at % OPEN_AGGREGATES]
        if aggregate.ts_ms + _MERGE_MS <= ms or aggregate.ts_ms // 60_000 != ms // 60_000:
            break
        if aggregate.price == price and aggregate.sell == sell:
            aggregate.qty += qty
            aggregate.public_qty += public_qty
            aggregate.last = symbol.trade_id
            return
    if symbol.open_to - symbol.open_from == OPEN_AGGREGATES:
        send_aggregate(m, i)
    aggregate = m.open[i, symbol.open_to % OPEN_AGGREGATES]
    symbol.open_to += 1
    aggregate.symbol, aggregate.price, aggregate.qty, aggregate.public_qty = i, price, qty, public_qty
    aggregate.first, aggregate.last, aggregate.ts_ms, aggregate.sell = first, symbol.trade_id, ms, sell
    delay = _LATENCY_MS + int(uniform(world) * _LATENCY_SPREAD_MS)
    symbol.last_event_ms = max(symbol.last_event_ms, ms + delay)
    aggregate.event_ms = symbol.last_event_ms


@kernel
def market_order(m: State, i: int, sell: int, lots: int, us: int) -> tuple[int, int]:
    """Walk the book until `lots` are filled or the book ends; returns lots filled and wire units x lots paid.

    Retail price improvement orders stand in no public book: they fill a little first, inside the spread if it has room.
    """
    world, symbol = m.world[0], m.symbols[i]
    filled, paid = 0, 0
    touch = symbol.bid if sell else symbol.ask
    if uniform(world) < 0.03:
        inside = touch + (1 if sell else -1) if symbol.ask - symbol.bid > 1 else touch
        improved = min(lots, int(1 + symbol.order_lots * 0.2))
        trade(m, i, inside, improved, 0, sell, us)
        filled, paid = improved, improved * inside * symbol.tick_units
    while filled < lots:
        price = symbol.bid if sell else symbol.ask
        if abs(price - symbol.anchor) > REACH - _EDGE or price < 50:
            break
        here = abs(m.books[i, price & _MASK])
        qty = min(here, lots - filled)
        trade(m, i, price, qty, qty, sell, us)
        if qty == here:
            clear_touch(m, i, sell == 1, us)
        else:
            set_level(m, i, price, here - qty if sell else qty - here, us)
        filled += qty
        paid += qty * price * symbol.tick_units
    moved = 0.25 * abs((symbol.bid if sell else symbol.ask) - touch)
    symbol.fair += -moved if sell else moved
    kick = 1.0 / _MEMORY_S
    if sell:
        symbol.excited_sell += _OWN_EXCITEMENT * kick
        symbol.excited_buy += _CROSS_EXCITEMENT * kick
    else:
        symbol.excited_buy += _OWN_EXCITEMENT * kick
        symbol.excited_sell += _CROSS_EXCITEMENT * kick
    return filled, paid


@kernel
def order_size(world: Record, symbol: Record) -> int:
    """Lots of a market order: lognormal with a Pareto tail, of mean `order_lots`."""
    size = math.exp(1.4 * normal(world) - 0.98)
    if uniform(world) < 0.02:
        size = min(250.0, 6.0 * (1.0 - uniform(world)) ** (-1.0 / 1.7))
    return max(1, int(symbol.order_lots * size * 0.75))


@kernel
def change_book(m: State, i: int, us: int) -> None:
    """Somebody places, changes or cancels a limit order: mostly near the touch, sometimes far."""
    world, symbol = m.world[0], m.symbols[i]
    bid_side = uniform(world) < 0.5
    where = uniform(world)
    if where < 0.40:
        distance = 0
    elif where < 0.70:
        distance = 1 + int(8.0 * uniform(world))
    else:
        distance = int((REACH - _EDGE) * uniform(world) ** 3)
    price = symbol.bid - distance if bid_side else symbol.ask + distance
    if abs(price - symbol.anchor) > REACH or price < 1:
        return
    chance = uniform(world)
    qty = standing(world, symbol, price, distance)
    if m.books[i, price & _MASK] == 0:
        if chance > 0.7:
            return
    elif chance < (0.28 if distance else 0.02):
        if distance == 0:
            clear_touch(m, i, bid_side, us)
            return
        qty = 0
    set_level(m, i, price, qty if bid_side else -qty, us)


@kernel
def requote(m: State, i: int, us: int) -> None:
    """Quotes follow the fair price once it has left them by enough, and a spread that orders tore open closes."""
    world, symbol = m.world[0], m.symbols[i]
    gap = symbol.fair - 0.5 * (symbol.bid + symbol.ask)
    patience = max(1.1, 0.6 * symbol.sigma * symbol.fair)
    bid = math.floor(symbol.fair - 0.5 * symbol.spread + 0.5)
    ask = bid + symbol.spread
    if gap > patience:
        while symbol.ask < ask:
            clear_touch(m, i, False, us)
        for back in range(3):
            if bid - back > symbol.bid and (back == 0 or uniform(world) < 0.6):
                set_level(m, i, bid - back, standing(world, symbol, bid - back, back), us)
    elif gap < -patience:
        while symbol.bid > bid:
            clear_touch(m, i, True, us)
        for back in range(3):
            if ask + back < symbol.ask and (back == 0 or uniform(world) < 0.6):
                set_level(m, i, ask + back, -standing(world, symbol, ask + back, back), us)
    elif symbol.ask - symbol.bid > symbol.spread and uniform(world) < 0.35:
        if uniform(world) < 0.5:
            price = min(max(bid, symbol.bid + 1), symbol.ask - 1)
            set_level(m, i, price, standing(world, symbol, price, 0), us)
        else:
            price = max(min(ask, symbol.ask - 1), symbol.bid + 1)
            set_level(m, i, price, -standing(world, symbol, price, 0), us)


@kernel
def follow(m: State, i: int, us: int) -> None:
    """Move the ends of the book after its middle, at most 8 ticks a step: far orders are pulled and placed anew."""
    world, symbol = m.world[0], m.symbols[i]
    off = (symbol.bid + symbol.ask) // 2 - symbol.anchor
    if abs(off) < 64:
        return
    for _ in range(8):
        if off > 0:
            if symbol.anchor - REACH > 0:
                set_level(m, i, symbol.anchor - REACH, 0, us)
            symbol.anchor += 1
            price = symbol.anchor + REACH
            if uniform(world) < 0.7:
                set_level(m, i, price, -standing(world, symbol, price, REACH), us)
        else:
            set_level(m, i, symbol.anchor + REACH, 0, us)
            symbol.anchor -= 1
            price = symbol.anchor - REACH
            if price > 0 and uniform(world) < 0.7:
                set_level(m, i, price, standing(world, symbol, price, REACH), us)


@kernel
def liquidate(m: State, i: int, us: int) -> None:
    """A position is closed by force; of one second's liquidations the largest is told, a second after the first."""
    world, symbol = m.world[0], m.symbols[i]
    sell = 1 if symbol.drift < 0.0 else 0
    size = min(400.0, (1.0 - uniform(world)) ** (-1.0 / 1.3))
    lots = min(max(1, int(symbol.order_lots * 4.0 * size)), max(1, int(symbol.adv_lots * 0.002)))
    ruin = 0.004 + 0.011 * uniform(world)
    touch = symbol.bid if sell else symbol.ask
    limit = max(1, int(touch * (1.0 - ruin if sell else 1.0 + ruin))) * symbol.tick_units
    filled, paid = market_order(m, i, sell, lots, us)
    if filled == 0:
        return
    if uniform(world) < 0.02:
        cause = INSURANCE_FUND if uniform(world) < 0.7 else ADL
        send_fill(m, i, limit, max(1, lots // 3), sell, us // 1000, cause)
    if symbol.liq_due_ms == 0:
        symbol.liq_due_ms = us // 1000 + 1005
        symbol.liq_qty = 0
    if filled > symbol.liq_qty:
        symbol.liq_ms, symbol.liq_sell, symbol.liq_limit = us // 1000, sell, limit
        symbol.liq_qty, symbol.liq_quote = filled, paid
        symbol.liq_last = max(1, int(filled * uniform(world)))


@kernel
def spawn_parent(m: State, us: int) -> None:
    """Somebody starts to work an order of 0.6 to 1.3 % of a day's volume: at once, or over up to five minutes."""
    world = m.world[0]
    low = min(8, world.symbols // 4)
    i = low + int(uniform(world) * (min(world.symbols, 450) - low))
    sell = 1 if uniform(world) < 0.5 else 0
    share = 0.006 + 0.007 * uniform(world)
    kind = uniform(world)
    symbol = m.symbols[i]
    for at in range(PARENTS):
        parent = m.parents[at]
        if parent.left <= 0:
            lots = int(symbol.adv_lots * share)
            if symbol.live == 0 or lots < 10:
                return
            if kind < 0.35:
                children, gap_us = 8, 25_000
            elif kind < 0.6:
                children, gap_us = 24, 300_000
            elif kind < 0.85:
                children, gap_us = 90, 500_000
            else:
                children, gap_us = 240, 1_000_000
            parent.symbol, parent.sell, parent.left, parent.gap_us = i, sell, lots, gap_us
            parent.child, parent.next_us = lots // children + 1, us
            return


@kernel
def work_parents(m: State, end_us: int) -> None:
    world = m.world[0]
    for at in range(PARENTS):
        parent = m.parents[at]
        while parent.left > 0 and parent.next_us < end_us:
            i = parent.symbol
            if m.symbols[i].live == 0:
                parent.left = 0
                break
            lots = min(parent.left, max(1, int(parent.child * (0.5 + uniform(world)))))
            market_order(m, i, parent.sell, lots, max(parent.next_us, m.symbols[i].last_us))
            parent.left -= lots
            parent.next_us += max(1_000, int(parent.gap_us * (0.4 + 1.2 * uniform(world))))


@kernel
def step(m: State, now_us: int, dt_us: int) -> None:
    """Let [now, now + dt) happen. Afterwards the first `world.quotes` of `m.quotes` (and so on) are what to send.

    The caller has set these counts to zero, or to what it has brought about itself.
    """
    world = m.world[0]
    dt, end_us = dt_us * 1e-6, now_us + dt_us
    root = math.sqrt(dt)
    if world.shock_steps == 0 and uniform(world) < dt / 240.0:
        world.shock_steps = int((2.0 + 4.0 * uniform(world)) / dt)
        total = (0.002 + 0.005 * uniform(world)) * (1.0 if uniform(world) < 0.5 else -1.0)
        world.shock = total / world.shock_steps
    factor = _FACTOR_SIGMA * root * normal(world)
    shock = 0.0
    if world.shock_steps > 0:
        world.shock_steps -= 1
        shock = world.shock
    if uniform(world) < dt * 4.5 / 60.0 * min(1.0, world.symbols / 300.0) * world.pace:
        spawn_parent(m, now_us)
    work_parents(m, end_us)
    decay, forget = math.exp(-dt / _MEMORY_S), math.exp(-dt / 5.0)
    for i in range(m.symbols.shape[0]):
        symbol = m.symbols[i]
        if symbol.live == 0:
            continue
        was = symbol.fair
        symbol.fair *= 1.0 + symbol.beta * (factor + shock) + symbol.sigma * root * normal(world)
        room = REACH - 2.0 * _EDGE
        symbol.fair = max(100.0, min(max(symbol.fair, symbol.anchor - room), symbol.anchor + room))
        us = max(now_us, symbol.last_us)
        requote(m, i, us)
        follow(m, i, us)
        # Intensities per second of buys and sells; shocks bring orders of their own direction.
        quiet = 0.5 * symbol.orders_per_s * (1.0 - _OWN_EXCITEMENT - _CROSS_EXCITEMENT) * world.pace
        buy = (quiet + symbol.excited_buy + (symbol.orders_per_s * 2.0 if shock > 0.0 else 0.0)) * dt
        sell = (quiet + symbol.excited_sell + (symbol.orders_per_s * 2.0 if shock < 0.0 else 0.0)) * dt
        symbol.excited_buy *= decay
        symbol.excited_sell *= decay
        orders = poisson(world, buy + sell)
        changes = poisson(world, symbol.changes_per_s * world.pace * dt)
        stretch = abs(symbol.drift) / (symbol.sigma * 1.58)
        hazard = 0.0008 + (min(0.03, 0.02 * (stretch - 3.0) ** 2) if stretch > 3.0 else 0.0)
        forced = uniform(world) < hazard * dt
        gap_us = (end_us - us) / (orders + changes + 2)
        for _ in range(orders + changes):
            us = max(us, symbol.last_us) + int(gap_us * uniform(world))
            if uniform(world) * (orders + changes) < orders:
                side = 1 if uniform(world) * (buy + sell) < sell else 0
                market_order(m, i, side, order_size(world, symbol), us)
            else:
                change_book(m, i, us)
        if forced:
            liquidate(m, i, us)
        symbol.drift = symbol.drift * forget + symbol.fair / was - 1.0
        end_ms = end_us // 1000
        while symbol.open_from < symbol.open_to and m.open[i, symbol.open_from % OPEN_AGGREGATES].event_ms < end_ms:
            send_aggregate(m, i)
        if 0 < symbol.liq_due_ms < end_ms:
            told = m.liquidations[world.liquidations]
            world.liquidations += 1
            told.symbol, told.sell, told.qty, told.quote = i, symbol.liq_sell, symbol.liq_qty, symbol.liq_quote
            told.last, told.limit, told.ts_ms, told.event_ms = (
                symbol.liq_last,
                symbol.liq_limit,
                symbol.liq_ms,
                symbol.liq_due_ms,
            )
            symbol.liq_due_ms = 0


@kernel
def rewind(m: State, i: int, until_us: int, book: NDArray[np.int64]) -> tuple[int, int]:
    """Write the book of `i` as it was before `until_us` into `book` (one ring); returns its last update id and time.

    What the undo log has forgotten stays as it is: then the book is younger than asked for, never a mixture.
    """
    world, symbol = m.world[0], m.symbols[i]
    for k in range(len(book)):
        book[k] = m.books[i, k]
    last_u, last_us = symbol.last_u, symbol.last_us
    at = world.changes - 1
    while at >= max(0, world.changes - UNDO) and m.undo[at & (UNDO - 1)].us >= until_us:
        change = m.undo[at & (UNDO - 1)]
        if change.symbol == i:
            book[change.price & _MASK] = change.was
            last_u, last_us = change.prev_u, change.prev_us
        at -= 1
    return last_u, last_us
