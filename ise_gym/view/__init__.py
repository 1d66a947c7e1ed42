"""Pictures and the viewer: one HTML file that shows what was recorded, learned and measured.

`write_report` makes it. The file needs no network and trusts nothing that it shows: transcripts are what models
and programs wrote, so they reach the page as text only.
"""

from ise_gym.view.inputs import Comparison, PassRate, read_comparison, read_run_card
from ise_gym.view.selection import write_selection
from ise_gym.view.write import write_report

__all__ = ["Comparison", "PassRate", "read_comparison", "read_run_card", "write_report", "write_selection"]
