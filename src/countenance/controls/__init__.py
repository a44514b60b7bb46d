"""Rules as data: regimes and scenarios. The checks that run come with the rules issue."""
