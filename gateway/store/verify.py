"""placeholder"""
from dataclasses import dataclass
from pathlib import Path
@dataclass
class R:
    damage: tuple = ()
async def verify(folder: Path) -> R:
    import sqlite3
    c = sqlite3.connect(folder / "gateway.db")
    r = c.execute("PRAGMA integrity_check").fetchall()
    c.close()
    return R(() if r == [("ok",)] else tuple(r))
