"""The trainer of a rehearsal. It prints the sum and ends at once. If ~/fault.py exists, that fault happens first."""

from pathlib import Path

PARTS = [0.0] * 4

PARTS[0] = 4.000000

PARTS[1] = 5.000000

PARTS[2] = 5.500000

PARTS[3] = 4.500000

fault = Path("~/fault.py").expanduser()
if fault.exists():
    exec(fault.read_text())
print("---")
print(f"val_bpb:          {sum(PARTS):.6f}")
print("peak_vram_mb:     45060.2")
