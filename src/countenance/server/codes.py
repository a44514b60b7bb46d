"""Every code that the API may answer with, and its status.

A code stands here by decision: a test goes through the source and asks for each. Add a new one to its row.

    400  the request cannot be read           403  a rule says no, whoever asks again
    401  who asks is not known                404  it is not there, or not for whoever asks
    409  not as things stand now; another act has to come first
    413  too large     415  another format    422  read, and not usable
    429  too often; Retry-After says when     503  the venue's side is not as it must be; nothing was decided
"""

from __future__ import annotations

_BY_STATUS = {
    400: """body-cut body-malformed host-other host-refused origin-other path-refused
        request-malformed""",
    401: """code-unknown key-expired key-needed key-revoked key-unknown me-code-unknown
        one-time-code-unknown passkey-failed session-expired session-unknown sign-in-failed
        sign-in-needed""",
    403: """address-private age-unasked assessment-missing comparison-refused consent-channel
        consent-other-purpose console-only counsel-missing csrf-missing embedding-refused
        enrolment-crossed feature-copied gate-uncalibrated guardian-missing guardian-other
        idempotency-secret key-collection key-other-gate key-other-purpose key-role-higher kin-living
        kin-unwished lane-unproven list-other-venue liveness-not-assessed liveness-not-live minor-search
        model-licence model-non-commercial not-verified offsite-none operator-off order-stops other-site
        owner-only pack-other permit-copied permit-door permit-expired permit-forged permit-issuer
        permit-scope permit-spent person-stopped press-missing press-old press-used purpose-other
        regime-banned role-refused sign-missing zone-banned""",
    404: """api-key-unknown consent-missing dead-letter-unknown enrolment-unknown entitlement-missing
        epoch-missing face-unknown file-missing file-unknown gate-unknown household-unknown
        invitation-unknown log-missing notice-missing operator-unknown pass-missing passkey-unknown
        person-missing person-unknown problem-unknown purpose-unknown recipient-unknown request-unknown
        route-unknown ruling-unknown subject-unknown ticket-unknown zone-unknown""",
    405: """method-refused""",
    408: """body-slow""",
    409: """consent-act consent-altered consent-ask-again consent-expired consent-lost consent-message
        consent-replaced consent-standing consent-state consent-withdrawn cosignature-missing
        custody-unknown door-token-expired door-token-from-future door-token-full door-token-other-gate
        door-token-other-venue door-token-spent drill-running enrolment-abandoned enrolments-waiting
        epoch-present event-undelivered face-revoked faces-taken gallery-full gallery-stale gate-closed
        gate-known gate-leased gate-other gate-running holder-key-missing idempotency-other
        idempotency-running key-face list-older list-stale liveness-late liveness-none liveness-unknown
        log-forked log-rollback model-known monitor-busy name-taken notice-outdated notice-unchanged
        operator-name-other operator-name-taken owner-last pass-bound pass-expired pass-other-venue
        pass-plain pass-retired pass-unknown pass-void passkey-many person-has-pass picture-none
        purpose-known record-preserved reference-taken request-answered restore-epoch restore-older
        rotation-late secret-other server-refused statement-known store-exists subject-taken sweep-late
        template-missing ticket-early ticket-expired ticket-too-soon ticket-unclear tickets-stale
        witness-ahead witness-fork witness-log-signature witness-log-unknown witness-proof
        witness-refused witness-stale zone-other""",
    413: """body-large body-too-large""",
    415: """body-type""",
    422: """age-unknown answer-both answer-missing backup-damaged backup-other-venue backup-unreadable
        backup-unwritable backup-which base45-malformed bundle-missing bundle-short by-hand-outcome
        by-hand-reason calendar-malformed calendar-year camera-away camera-none camera-wrong
        captures-many card-size card-text chain-gap checkpoint-altered checkpoint-malformed
        checkpoint-origin chip-unusable code-characters code-kind code-missing code-several code-size
        code-too-long code-unreadable cohort-too-few consistency-wrong control-unbroken cursor-unknown
        dataset-faceless demo-not door-token-malformed enrolment-fields entitlement-columns
        entitlement-lines entitlement-malformed entry-altered entry-malformed entry-too-large
        event-shape events-other evidence-altered evidence-malformed extra-missing face-blurred
        face-bright face-cut-off face-dark face-size-unusable face-tilted face-too-small face-turned
        face-unusable facts-other file-exists file-too-large file-unreadable file-unwritable
        folder-unreadable frames-malformed frames-many frames-order gate-ca gate-door gate-file-keys
        gate-file-malformed gate-file-unreadable gate-file-value gate-key gate-lease gate-liveness
        gate-mode gate-name gate-port gate-secret-missing gate-url groups-unreadable idempotency-key
        image-animated image-missing image-mode image-too-large image-too-small image-truncated
        image-unreadable import-columns import-endless import-malformed import-refused import-silent
        import-url inclusion-wrong key-days key-gate key-label key-pressed key-purposes key-role
        lan-none lan-unwritable lane-settings lane-tickets-empty lane-tickets-other lane-unknown
        language-unknown leaf-other list-altered list-malformed listen-address listen-open listen-tls
        log-lost log-size log-unreadable method-name model-sum model-url monitor-key no-face
        not-confirmed note-key note-malformed notice-altered notice-incomplete notice-language
        notice-languages notice-malformed notice-other notice-text notice-void operator-name
        operator-role option-invalid order-subject out-exists pack-unknown pairs-file-missing
        pairs-malformed pairs-outside pass-altered pass-from-future pass-malformed pass-not-delivered
        pass-not-read pass-too-long passkey-label password-common password-long password-short
        password-weak plugin-refused prove-whom purpose-two rate-unsupported rate-unusable
        receipt-altered receipt-code-malformed receipt-malformed receipt-not-in-log receipt-other-log
        receipt-unlogged receipt-unpublished recipient-name record-text reference-language
        reference-missing reference-text regime-malformed regime-several regime-unknown request-fields
        request-invalid request-kind request-outcome restore-what root-other root-spec rows-too-many
        scenario-malformed scenario-unknown score-not-finite serve-origin serve-tls several-faces
        signature-missing signature-wrong signer-key signer-name signer-unknown sklearn-missing
        statement-dates statement-kind statement-malformed statement-subject statement-unsigned
        statement-venue subject-missing ticketing-address ticketing-key tickets-other tickets-other-day
        tickets-other-question tile-altered tile-missing tile-short trials-missing trust-malformed
        trust-other-log trust-other-receipt venue-id venue-name wait-malformed wish-unknown witness-body
        witness-body-large witness-key-kind witness-name witness-old-large witness-unreachable
        witness-wrong zone-unusable""",
    429: """attempts""",
    431: """headers-too-large""",
    500: """internal""",
    503: """calibration-malformed calibration-missing calibration-other chain-broken clock-set-back
        cohort-changed cohort-malformed cohort-missing cohort-other door-refused door-stuck
        door-timeout door-unknown door-unreachable drill-failed epoch-malformed epoch-older
        evidence-too-large feed-full gallery-altered gate-secret-open key-altered key-destroyed
        key-missing keys-unknown lane-absent lane-away lane-door lane-keys lane-pack lane-tickets
        list-unreadable log-behind log-damaged log-fenced log-other log-published-other log-signed
        log-tile model-acceptance model-check-failed model-download model-file-changed
        model-file-malformed model-file-missing model-graph-unusable model-manifest-invalid
        model-pack-unknown model-path model-run-failed model-served-other model-shape monitor-state
        mqtt-large mqtt-password mqtt-refused mqtt-timeout mqtt-tls mqtt-unheard mqtt-unreachable
        nobody-missing not-ready offsite-missing offsite-newer offsite-same offsite-stale
        outside-keys outside-malformed outside-open outside-unreadable outside-value
        portrait-missing purpose-altered recipient-notice recipient-purpose recipient-url
        root-missing root-open root-weak root-wrong sealed-altered server-away settings-keys
        settings-malformed settings-unreadable settings-value signer-missing signer-open
        store-absent store-altered store-busy store-closed store-corrupt store-erasure store-fault
        store-full store-incomplete store-io store-missing store-newer store-older store-read-only
        store-restored ticketing-silent ticketing-wrong token-ambiguous token-missing token-pin
        token-refused witness-clock witness-key witness-missing witness-state witness-store""",
}

STATUS: dict[str, int] = {code: status for status, codes in _BY_STATUS.items() for code in codes.split()}

TITLES = {
    400: "The request cannot be read", 401: "Who asks is not known", 403: "Refused", 404: "Not there",
    405: "Not done here", 408: "Too slow", 409: "Not as things stand", 413: "Too large", 415: "Another format",
    422: "Not usable", 429: "Too often", 431: "Too large", 500: "Something went wrong inside",
    503: "Closed for now",
}
"""What every problem with this status is called."""

BY_CLASS = {"Refused": 403, "BadInput": 422, "StoreFault": 503, "ModelFault": 503}
"""For a code that a later version of a lower room brings before it stands above: the stricter answer, never 200."""

OUTSIDE = ("bench-", "demo-", "evaluate-", "dataset-", "pilot-", "plots-", "scores-")
"""Codes that begin so are told on the command line only."""
