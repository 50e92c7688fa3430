"""What a build holds, for people: report.json, the dataset card, and single rows made readable."""
