"""What the simulated venue lists: names, price grids and sizes such as Binance USD-M had in November 2026.

The order of the list is the order of activity: turnover and trade rates fall off along it as a power law. A small venue
takes the head of the list, so the head holds one of each peculiarity: a multiplier, a stock, a name that is not ASCII,
a margin other than USDT, a tick that is no power of ten.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property

NO_DELIVERY_MS = 4_133_404_800_000
"""deliveryDate of a contract that never delivers: 2100-12-25."""
DAY_MS = 86_400_000

TOP_ADV = 15e9
TOP_TRADES_PER_S = 14.0
"""BTCUSDT in 2026: quote volume a day, aggregate trades a second (13.9 over four months)."""
ADV_EXPONENT = 1.3
RATE_EXPONENT = 0.62
"""Fall along the list: 600 instruments make about 400 aggregate trades a second, the last one a trade each 4 s."""

# name, price, tick, lot, decimals printed (prices carry zeros beyond the tick: QNTUSDT prints 185.060000)
_KNOWN = """
BTCUSDT 84550 0.10 0.001 2|ETHUSDT 2690.17 0.01 0.001 2|SOLUSDT 163.4 0.0100 0.01 4|XRPUSDT 2.1544 0.0001 0.1 4
DOGEUSDT 0.09696 0.00001 1 6|BNBUSDT 755.17 0.010 0.01 3|1000PEPEUSDT 0.0072140 0.0000010 1 7
TSLAUSDT 431.85 0.01 0.01 2|币安人生USDT 0.1874 0.0001 1 7|ETHUSDC 2690.40 0.01 0.001 2|XAUUSDT 4188.25 0.05 0.001 2
SUIUSDT 2.3178 0.0001 0.1 6|ADAUSDT 0.6122 0.0001 1 5|BTCUSDC 84552 0.1 0.001 1|NVDAUSDT 188.42 0.01 0.01 2
LINKUSDT 16.204 0.001 0.01 3|HYPEUSDT 38.52 0.001 0.01 3|ZECUSDT 512.4 0.01 0.001 2|AVAXUSDT 18.33 0.001 1 4
LTCUSDT 92.11 0.01 0.001 2|BCHUSDT 512.6 0.01 0.001 2|AAVEUSDT 184.3 0.01 0.1 6|WLDUSDT 0.8113 0.0001 1 7
UNIUSDT 6.882 0.001 1 4|NEARUSDT 2.114 0.001 1 4|TRXUSDT 0.2911 0.00001 1 5|DOTUSDT 2.893 0.001 0.1 3
1000SHIBUSDT 0.009822 0.000001 1 6|FARTCOINUSDT 0.1941 0.0001 0.1 7|PUMPUSDT 0.004892 0.000001 1 7
ENAUSDT 0.2913 0.0001 1 7|XAGUSDT 52.41 0.005 0.01 3|TAOUSDT 301.2 0.01 0.001 2|1000BONKUSDT 0.012410 0.000001 1 7
"""

_CRYPTO = """
ARB OP APT FIL INJ SEI TIA ATOM ETC XLM HBAR ICP RUNE LDO CRV MKR SNX GRT SAND MANA AXS GALA CHZ ENJ IMX FTM ALGO VET
EOS XTZ NEO IOTA QTUM ZIL ONT BAT ZRX OMG KAVA COMP YFI SUSHI 1INCH KNC BAL BAND STORJ OCEAN ANKR SKL CELR COTI DENT
HOT ONE IOST RVN ZEN DASH XMR WAVES KSM EGLD FLOW ROSE MINA DYDX ENS PEOPLE JASMY APE GMT WOO LRC MASK API3 CTSI AR
LPT GTC ALICE TLM SLP C98 ATA DODO REEF BEL LINA RSR CVC UNFI ARPA CTK LIT SFP BAKE IOTX AUDIO STMX ICX BNT MTL OGN
NKN DUSK SPELL GAL HIGH MAGIC HOOK HFT FXS T ID EDU RDNT AMB LEVER PERP TRU TRB SSV CKB BLUR LQTY USTC ASTR AGIX PHB
GMX CFX STX ACH MAV XVG KEY COMBO NMR MDT XEM WLD PENDLE ARKM YGG FRONT OXT HIFI CYBER BNX RAD GLMR TOKEN STEEM BADGER
BOND BICO LOOM POLYX GAS POWR CAKE ORDI BEAMX KAS 1000SATS PYTH SUPER NTRN ILV STG 1000RATS AUCTION RIF NFP ACE MOVR
XAI MANTA AI ALT JUP ZETA RONIN DYM OM PIXEL STRK MAVIA GLM PORTAL TON AXL METIS MYRO BOME ETHFI SAGA OMNI REZ BB NOT
TURBO IO ZK ZRO MEW RENDER BANANA RARE G SYN SYS VOXEL ALPACA SUN VIDT DOGS MBOX CHESS FLUX BSW QUICK NEIRO RPL FIDA
UXLINK POPCAT KDA LOKA CATI DBR MOODENG EIGEN SCR SAFE SANTOS TROY GOAT 1000CAT GRASS DRIFT SWELL ACT PNUT HIPPO 1000X
BAN AKT SLERF DEGEN HYPER MORPHO THE CETUS COW AERO CHILLGUY MELANIA KOMA VIRTUAL SPX ME AVA VELODROME MOVE RAYSOL
VANA PENGU LUMIA USUAL AIXBT CGPT HIVE DEXE PHA KMNO GRIFFAIN AI16Z ZEREBRO BIO COOKIE ALCH SWARMS SONIC PIPPIN S SOLV
ARC AVAAI TRUMP PROM VVV ANIME PLUME BERA TST LAYER B3 IP KAITO SHELL 1000CHEEMS EPIC GPS MUBARAK BMT FORM PAXG
1000WHY NIL PARTI TUT BROCCOLI714 SIREN BANANAS31 BR PLAY FHE BABY KERNEL WCT BIGTIME INIT AERGO DEEP STO FIS JST MILK
ZORA NXPC SIGN HAEDAL ASR ALPINE SYRUP SKYAI OBOL SOON PUNDIX AIOT SXT DOOD RESOLV SOPH HUMA ELX SQD HOME LA SPK NEWT
SAHARA ICNT M 1000000BOB F H PUMPBTC TREE PROVE TOWNS CROSS ERA TAC C WLFI CARV TAG ESPORTS ZKC LINEA HOLO AVNT BARD
OPEN FLOCK PTB XPL MIRA 2Z EDEN XAN ASTER STBL FF KGEN HANA LIGHT COAI EVAA YB ENSO MET CLO RECALL RIVER ZBT TURTLE
COMMON KITE MMT ALLO JCT APR IRYS NIGHT TRUTH MON MAGMA US PIEVERSE BEAT IRIS WET CYS STABLE RLS VSN GAIB CC PLANCK
TRADOOR BLESS NAORIS AIA CAMP OPENEDEN SAPIEN LAB HEMI YBX AIAV UB NOMINAT SOMI VELO TNSR TWT ID4 QNT XDC KLAY CELO
1MBABYDOGE MOG DOGEX CORE
"""

_STOCKS = """
AAPL:238 MSFT:512 AMZN:229 GOOGL:291 META:604 COIN:262 MSTR:178 HOOD:108 PLTR:164 CRCL:71 AMD:214 INTC:36 MU:232
AVGO:352 ORCL:201 NFLX:104 BABA:156 TSM:284 ASML:1021 QQQ:598 SPY:664 IWM:238 ARM:141 SMCI:33 GME:21 RIVN:15 LCID:12
SOFI:26 PYPL:61 UBER:86 SHOP:148 SNOW:251 CRWD:512 PANW:201 DELL:129 IBM:301 QCOM:166 TXN:158 ADBE:325 CRM:232 NOW:812
INTU:644 WMT:104 COST:904 JPM:301 BAC:52 GS:792 V:331 MA:541 UNH:312 LLY:1044 NVO:48 PFE:25 XOM:118 CVX:152 BA:181
CAT:562 GE:298 F:13 GM:71 DIS:106 NKE:63 SBUX:84 MCD:304 KO:71 PEP:146 T0:26 VZ:41 PG:149 JNJ:203 ABBV:236 MRK:93
TMO:588 COPPER:5 XPT:1544 XPD:1380 NATGAS:4 WTI:58 BRENT:62 SAMSUNG:68 SKHYNIX:396 HYUNDAI:187 TENCENT:79 XIAOMI:5
BYD:12 MEITUAN:13 CATL:52 MOUTAI:204 KWEB:37 FXI:39 EWY:92 EWJ:81 GLD:386 SLV:47 TLT:89 ARKK:74 SOXL:38 TQQQ:51
BITO:15 IBIT:48 ETHA:20 RKLB:42 ASTS:56 IONQ:47 RGTI:25 QBTS:22 OKLO:93 SMR:20 APP:523 DUOL:182 RDDT:191 SNAP:8
PINS:26 DASH2:201 ABNB:117 DKNG:31 UPST:38 AFRM:69 SQ:61 MARA:11 RIOT:13 CLSK:11 BMNR:28 SBET:10 BTBT:3 HUT:39 CORZ:15
NBIS:88 CRWV:74 BE:93 VST:172 CEG:346 EURUSD:1.152 USDJPY:156
"""

_LEFTOVERS = (
    *("OCEANUSDT", "AGIXUSDT", "STMXUSDT", "BNXUSDT", "TROYUSDT", "AMBUSDT"),
    *("LINAUSDT", "REEFUSDT", "LOOMUSDT", "KEYUSDT", "VIDTUSDT", "BONDUSDT"),
)
"""Delisted names: they stay in exchangeInfo as SETTLING for good, and are silent."""

_QUARTERLIES = (
    ("261225", "CURRENT_QUARTER", 1_798_185_600_000, 1.003),
    ("270326", "NEXT_QUARTER", 1_806_048_000_000, 1.011),
)
"""Names, kinds, ends, and what their price is above the perpetual's."""


@dataclass(frozen=True)
class Listing:
    """One row of exchangeInfo and what the market needs to know to trade it.

    `tick_units` is the tick in units of the last printed decimal: on the wire a price is `ticks * tick_units` of those.
    """

    symbol: str
    base: str
    quote: str
    contract: str
    price: float
    tick_units: int
    price_decimals: int
    qty_decimals: int
    adv: float
    """Average daily volume in quote currency."""
    trades_per_s: float
    volatility: float
    """Of a year, as a fraction."""
    beta: float
    rank: int
    status: str = "TRADING"
    delivery_ms: int = NO_DELIVERY_MS
    onboard_ms: int = 1_569_398_400_000
    funding_hours: int = 8
    follows: str = ""
    """Symbol of the lead market whose price this one's is tied to; empty where it has a life of its own."""
    multiple: float = 1.0
    """Units of this instrument's base that one of the lead's holds, upside down: its price is the lead's times this."""

    @property
    def pair(self) -> str:
        return self.symbol.partition("_")[0]

    @property
    def tradfi(self) -> bool:
        return self.contract == "TRADIFI_PERPETUAL"

    @property
    def dated(self) -> bool:
        return self.contract.endswith("_QUARTER")

    @cached_property
    def stream(self) -> str:
        """The symbol as stream names spell it."""
        return self.symbol.lower()

    @property
    def tick_size(self) -> str:
        return f"{Decimal(self.tick_units).scaleb(-self.price_decimals):f}"

    @property
    def step_size(self) -> str:
        return f"{Decimal(1).scaleb(-self.qty_decimals):f}"

    @property
    def start_ticks(self) -> int:
        return max(200, round(self.price * 10.0**self.price_decimals / self.tick_units))


@dataclass(frozen=True)
class CoinMargined:
    """A COIN-M contract: since June 2026 these appear in the `!…@arr` streams of USD-M, with `st` 2."""

    symbol: str
    underlying: str
    contract_usd: int


COIN_MARGINED = (
    CoinMargined("BTCUSD_PERP", "BTCUSDT", 100),
    CoinMargined("ETHUSD_PERP", "ETHUSDT", 10),
    CoinMargined("SOLUSD_PERP", "SOLUSDT", 10),
    CoinMargined("BTCUSD_261225", "BTCUSDT", 100),
)


def build_universe(symbols: int, seed: int) -> list[Listing]:
    """`symbols` trading perpetuals in order of activity, then quarterlies, then delisted leftovers."""
    drawn = random.Random(f"universe {seed}")
    known = [_known(row.split(), rank) for rank, row in enumerate(_rows(_KNOWN), 1)]
    taken = {listing.symbol for listing in known} | set(_LEFTOVERS)
    names = _tail_names(taken, drawn)
    listings = known[:symbols]
    while len(listings) < symbols:
        symbol, price, tradfi = next(names)
        listings.append(_unknown(symbol, price, len(listings) + 1, drawn, tradfi=tradfi))
    listings = [_with_character(listing, drawn) for listing in listings]
    quarterlies = [
        _quarterly(listing, suffix, contract, delivery_ms, above)
        for listing in listings[:2]
        for suffix, contract, delivery_ms, above in _QUARTERLIES
    ]
    leftovers = [
        replace(_unknown(symbol, None, 400, drawn), status="SETTLING", delivery_ms=1_770_000_000_000)
        for symbol in _LEFTOVERS[: max(1, symbols // 50)]
    ]
    return listings + quarterlies + leftovers


def new_listing(taken: set[str], seed: int, now_ms: int) -> Listing:
    """A name that was not there before, pending until its trading starts."""
    drawn = random.Random(f"new listing {seed} {len(taken)}")
    symbol = next(name for name in _invented(drawn) if name not in taken)
    listing = _with_character(_unknown(symbol, None, 60, drawn), drawn)
    return replace(listing, status="PENDING_TRADING", onboard_ms=now_ms)


def _rows(text: str) -> list[str]:
    return [row for row in text.replace("\n", "|").split("|") if row]


def _tail_names(taken: set[str], drawn: random.Random) -> Iterator[tuple[str, float | None, bool]]:
    """Crypto names with a stock after every third, then invented ones without end."""
    crypto = [f"{name}USDT" for name in _CRYPTO.split()]
    stocks = [name.split(":") for name in _STOCKS.split()]
    used = set(taken)
    for at, symbol in enumerate(crypto):
        if symbol not in used:
            used.add(symbol)
            yield symbol, None, False
        if at % 3 == 2 and stocks:
            name, price = stocks.pop(0)
            if (stock := f"{name}USDT") not in used:
                used.add(stock)
                yield stock, float(price), True
    for symbol in _invented(drawn):
        if symbol not in used:
            used.add(symbol)
            yield symbol, None, False


def _invented(drawn: random.Random) -> Iterator[str]:
    while True:
        yield (
            "".join(drawn.choice("BCDFGKLMNPRSTVXZ") + drawn.choice("AEIOU") for _ in range(drawn.choice((2, 3))))
            + "USDT"
        )


def _split(symbol: str) -> tuple[str, str]:
    quote = "USDC" if symbol.endswith("USDC") else "USDT"
    return symbol.removesuffix(quote), quote


def _known(row: list[str], rank: int) -> Listing:
    symbol, price, tick, lot, decimals = row
    price_decimals = int(decimals)
    base, quote = _split(symbol)
    return Listing(
        symbol=symbol,
        base=base,
        quote=quote,
        contract="TRADIFI_PERPETUAL" if base in {"TSLA", "NVDA", "XAU", "XAG"} else "PERPETUAL",
        price=float(price),
        tick_units=int(Decimal(tick).scaleb(price_decimals)),
        price_decimals=price_decimals,
        qty_decimals=-int(Decimal(lot).as_tuple().exponent) if "." in lot else 0,
        adv=TOP_ADV * rank**-ADV_EXPONENT,
        trades_per_s=TOP_TRADES_PER_S * rank**-RATE_EXPONENT,
        volatility=0.45,
        beta=1.0,
        rank=rank,
        follows=f"{base}USDT" if quote == "USDC" else "",
    )


def _unknown(symbol: str, price: float | None, rank: int, drawn: random.Random, *, tradfi: bool = False) -> Listing:
    """A listing on a grid as the venue would choose it: 1,000 to 100,000 ticks a price, a lot worth a dollar or so."""
    price = math.exp(drawn.uniform(math.log(0.004), math.log(40.0))) if price is None else price
    magnitude = math.floor(math.log10(price))
    tick_decimals = max(2 if tradfi else 0, 4 - magnitude - drawn.randint(0, 1))
    price_decimals = min(7, tick_decimals + drawn.choice((0, 0, 1, 2)))
    tick_decimals = min(tick_decimals, price_decimals)
    base, quote = _split(symbol)
    return Listing(
        symbol=symbol,
        base=base,
        quote=quote,
        contract="TRADIFI_PERPETUAL" if tradfi else "PERPETUAL",
        price=price,
        tick_units=10 ** (price_decimals - tick_decimals),
        price_decimals=price_decimals,
        qty_decimals=max(0, min(3, round(math.log10(price)))),
        adv=TOP_ADV * rank**-ADV_EXPONENT,
        trades_per_s=TOP_TRADES_PER_S * rank**-RATE_EXPONENT,
        volatility=0.9,
        beta=1.3,
        rank=rank,
    )


def _with_character(listing: Listing, drawn: random.Random) -> Listing:
    """Turnover, volatility, beta and funding interval of its own; drawn for every listing, so that seeds keep step."""
    spread = math.exp(drawn.gauss(-0.02, 0.2))
    volatility, beta = drawn.uniform(0.7, 1.3), drawn.uniform(1.0, 1.6)
    hours = drawn.choice((4, 4, 8, 8, 1)) if listing.rank > 20 else 8
    if listing.rank <= 2:
        volatility, beta = 0.45 + 0.15 * (listing.rank - 1), 1.0 + 0.15 * (listing.rank - 1)
    if listing.tradfi:
        volatility, beta, hours = volatility * 0.4, 0.25, 8
    return replace(listing, adv=listing.adv * spread, volatility=volatility, beta=beta, funding_hours=hours)


def _quarterly(listing: Listing, suffix: str, contract: str, delivery_ms: int, above: float) -> Listing:
    return replace(
        listing,
        symbol=f"{listing.symbol}_{suffix}",
        contract=contract,
        price=listing.price * above,
        adv=listing.adv * 0.004,
        trades_per_s=listing.trades_per_s * 0.08,
        rank=200,
        delivery_ms=delivery_ms,
        follows=listing.symbol,
        multiple=above,
    )


_MULTIPLIER = re.compile(r"^(1000000|100000|10000|1000|1M)(?=[A-Z])")
SPOT_ADV, SPOT_RATE = 0.22, 0.45
"""Turnover and trades of a spot pair against its perpetual's."""


def build_spot(lead: list[Listing], symbols: int, seed: int) -> list[Listing]:
    """Spot pairs of the assets whose perpetuals `lead` lists, in its order: 1000PEPEUSDT there is PEPEUSDT here.

    Stocks and metals have no spot pair.
    """
    drawn = random.Random(f"spot {seed}")
    perpetuals = [one for one in lead if one.contract == "PERPETUAL" and one.status == "TRADING"]
    return [_spot(one, drawn) for one in perpetuals if one.base.isascii()][:symbols]


def _spot(perpetual: Listing, drawn: random.Random) -> Listing:
    found = _MULTIPLIER.match(perpetual.base)
    units = 1 if found is None else 1_000_000 if found[1] == "1M" else int(found[1])
    base = perpetual.base if found is None else perpetual.base.removeprefix(found[1])
    price = perpetual.price / units
    magnitude = math.floor(math.log10(price))
    # A tick worth a tenth of a basis point or more. The venue's cent of a bitcoin is a hundredth: a book of
    # `layout.REACH` such ticks would end 2 bps from its middle, and hold back a price that moves faster than its ends.
    decimals = max(2, 4 - magnitude) if magnitude >= 0 else 4 - magnitude
    spread = math.exp(drawn.gauss(0.0, 0.3))
    return replace(
        perpetual,
        symbol=f"{base}{perpetual.quote}",
        base=base,
        contract="SPOT",
        price=price,
        tick_units=10 if magnitude > 3 else 1,
        price_decimals=decimals,
        qty_decimals=max(0, min(5, 1 + round(math.log10(price)))),
        adv=perpetual.adv * SPOT_ADV * spread,
        trades_per_s=perpetual.trades_per_s * SPOT_RATE,
        follows=perpetual.symbol,
        multiple=1.0 / units,
    )
