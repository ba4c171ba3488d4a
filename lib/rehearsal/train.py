"""The trainer of a rehearsal: ends at once, and says VALUE. Where there is a ~/fault.py, that goes wrong first."""

from pathlib import Path

VALUE = 19.000000

fault = Path("~/fault.py").expanduser()
if fault.exists():
    exec(fault.read_text())
print("---")
print(f"val_bpb:          {VALUE:.6f}")
print("peak_vram_mb:     45060.2")
