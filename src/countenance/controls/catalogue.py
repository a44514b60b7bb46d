"""The catalogue of controls: what each asserts, where it is enforced, by which test, and how a venue is looked at.

`python -m countenance.controls.table > docs/controls.md` writes the table; a test goes through it and asks for each.
"""

from __future__ import annotations

from dataclasses import dataclass

from countenance.controls import checks
from countenance.controls.checks import Check

_ATTACKS = "tests/attacks/test_no_permit_no_comparison.py::test_is_refused_and_nothing_moves"


@dataclass(frozen=True)
class Control:
    """One control. `code`: where the program keeps it, "" where a person has to; `check` looks at a live venue."""

    id: str
    asserts: str
    code: str
    test: str
    check: Check | None = None


CONTROLS: dict[str, Control] = {one.id: one for one in (
    Control("K01", "A template is of one purpose; a comparison for another is refused.",
            "consent/gate.py::ConsentGate.verify", _ATTACKS, checks.purposes),
    Control("K02", "Nobody enrols but on a consent of its own, to one notice of one purpose.",
            "consent/consents.py::give",
            "tests/unit/test_consents.py::test_giving_asks_for_the_notice_in_force_in_its_languages",
            checks.separate_consent),
    Control("K03", "A consent is on the record, in a chain, and the person has a signed receipt.",
            "flows/receipts.py::write",
            "tests/journeys/test_proof.py::test_receipts_verify_with_keys_from_elsewhere_and_not_without",
            checks.receipts),
    Control("K04", "A changed notice stops matching until the person agrees anew; a notice says all it has to.",
            "consent/notices.py::publish",
            "tests/unit/test_consents.py::test_a_changed_notice_stops_matching_until_renewed",
            checks.notice_complete),
    Control("K05", "Age is asked, never inferred; a guardian agrees for a minor.", "", ""),
    Control("K06", "There is always a way in without a face.", "flows/at_a_gate.py::decide",
            "tests/journeys/test_main_flow.py::test_the_other_lane_stays_open_whatever_happens_to_faces",
            checks.other_lane),
    Control("K07", "One act withdraws: keys die at once, the pass goes on.", "flows/withdraw.py::withdraw",
            "tests/journeys/test_main_flow.py::test_withdrawal_leaves_neither_the_plain_nor_the_wrapped_key_in_any_file",
            checks.withdrawn),
    Control("K08", "Every row says when it is deleted; a late sweep stops matching.",
            "consent/gate.py::ConsentGate.require_swept",
            "tests/unit/test_consents.py::test_a_late_sweep_closes_the_gate_to_the_second",
            checks.retention),
    Control("K09", "Pictures and probes are in memory only.", "vision/image.py::Frame.wipe",
            "tests/attacks/test_uploads_stay_in_memory.py::test_a_large_upload_writes_nothing_to_disk"),
    Control("K10", "A template lies with the person, or under a key that only they hold, where the law asks for it.",
            "vault/templates.py::TemplateVault.seal",
            "tests/unit/test_custody.py::test_root_and_every_file_open_no_face_whose_half_is_in_a_pass",
            checks.custody),
    Control("K11", "Faces leave the venue's own machine for nobody.", "", ""),
    Control("K12", "One to one is the default; a gallery is capped and agreed to by itself.",
            "consent/gate.py::ConsentGate.load",
            "tests/unit/test_consents.py::test_a_gallery_over_its_cap_is_refused_whole",
            checks.one_to_one),
    Control("K13", "A face is looked for after a deliberate act only; bystanders are dropped.",
            "consent/gate.py::press", "tests/unit/test_consents.py::test_a_press_is_fresh_and_used_once"),
    Control("K14", "No device in a place where none may be.", "flows/scenarios.py::require_zone",
            "tests/unit/test_regimes.py::test_a_zone_where_it_is_banned_is_refused_with_its_citation",
            checks.zones),
    Control("K15", "A sign stands where faces are compared.", "", ""),
    Control("K16", "An assessment, signed, is bound to the settings.", "", ""),
    Control("K17", "Stored persons are counted; filing is due from a number on.", "", "",
            checks.stored_persons),
    Control("K18", "A log that nobody can edit unseen.", "transparency/log.py::Log",
            "tests/journeys/test_proof.py::test_the_published_log_verifies_and_a_flipped_byte_is_named",
            checks.receipts),
    Control("K20", "No inference of age, sex, emotion or ethnicity.", "vision/manifest.py::parse",
            "tests/structure/test_refusals.py::test_no_code_infers_anything_about_a_face"),
    Control("K21", "Nobody else is told without a consent of its own.", "flows/disclose.py::agree",
            "tests/unit/test_events_out.py::test_a_visit_is_told_of_only_to_whom_the_person_agreed",
            checks.recipients),
    Control("K23", "Requests have an outcome, reasons and a clock.", "", ""),
    Control("K25", "A non-match is no denial: it refers to people.", "flows/admit.py::at_gate",
            "tests/attacks/test_other_promises.py::test_whatever_goes_wrong_at_a_gate_refers",
            checks.no_denial),
    Control("K26", "Who died is compared no more; relatives are heard.", "", ""),
    Control("K27", "No void terms.", "controls/checks.py::terms",
            "tests/unit/test_controls.py::test_each_sabotage_is_named",
            checks.terms),
    Control("K29", "A threshold follows from a measured error rate, or the gate is closed to faces.",
            "flows/venue.py::Venue.threshold",
            "tests/unit/test_calibrated_venue.py::test_a_rate_that_the_data_cannot_support_opens_no_gate",
            checks.threshold),
    Control("K31", "A photograph is not a template.", "flows/capture.py::one_face",
            "tests/structure/test_refusals.py::test_a_photograph_is_not_a_template"),
    Control("K33", "No regime, no face; a regime may ban it.", "flows/found.py::found",
            "tests/unit/test_regimes.py::test_a_banned_place_founds_no_venue",
            checks.profile),
    Control("K34", "An order stops processing.", "", ""),
    Control("K35", "Who said no is not asked for two days.", "flows/enrol.py::say_no",
            "tests/unit/test_passes_at_the_gate.py::test_saying_no_writes_nothing_and_says_when_to_ask_again",
            checks.asked_again),
    Control("K37", "Nothing is sold, and nothing has templates for its input but comparison.",
            "permits.py::PermitBook.spend", "tests/structure/test_refusals.py::"
            "test_no_command_compares_two_uploads_searches_a_strangers_photo_or_exports_templates"),
    Control("K40", "One command makes evidence that verifies offline.", "flows/prove.py::whole",
            "tests/journeys/test_proof.py::test_evidence_holds_everything_that_happened_to_one_person",
            checks.provable),
    Control("K41", "Both lanes take as long and cost the same.", "", ""),
)}
