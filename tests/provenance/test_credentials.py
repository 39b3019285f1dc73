"""Who signs: a chain that is made once and kept private, or the user's own."""

from __future__ import annotations

import stat
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from likeness.encode import encode
from likeness.encode.signed import rehearse
from likeness.errors import ConfigError, MediaError
from likeness.provenance import credentials as module
from likeness.provenance import load_credentials, read_manifest, trust_anchors
from likeness.provenance.credentials import local_anchors, user_folder
from likeness.types import Clip
from tests.provenance.conftest import statement


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_local_chain_is_made_once_and_kept_private(tmp_path: Path) -> None:
    folder = tmp_path / "user"
    first = load_credentials(folder)
    assert load_credentials(folder) == first
    assert mode(folder / "local" / "key.pem") == 0o600
    assert mode(folder) == mode(folder / "local") == 0o700
    assert "PRIVATE" not in repr(first)
    assert sorted(f.name for f in (folder / "local").iterdir()) == [
        "chain.pem",
        "key.pem",
        "root.pem",
    ]
    leaf, root = x509.load_pem_x509_certificates(first.chain.encode())
    leaf.verify_directly_issued_by(root)
    usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.EMAIL_PROTECTION]
    assert "likeness" in leaf.subject.rfc4514_string()
    assert load_credentials(tmp_path / "other").chain != first.chain


def test_tests_stay_out_of_the_users_folder(own_folder: Path) -> None:
    assert user_folder() == own_folder


def test_a_chain_about_to_end_is_renewed_and_its_root_still_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LEAF_DAYS", 20)
    old = load_credentials(tmp_path)
    monkeypatch.undo()
    new = load_credentials(tmp_path)
    assert new.chain != old.chain
    leaf = x509.load_pem_x509_certificate(new.chain.encode())
    assert leaf.not_valid_after_utc > datetime.now(UTC) + timedelta(days=3000)
    anchors = local_anchors(tmp_path)
    assert len(anchors) == 2
    assert all(any(anchor in each.chain for anchor in anchors) for each in (old, new))


def test_an_own_chain_and_its_root_are_used(camera_clip: Clip, tmp_path: Path) -> None:
    load_credentials(tmp_path / "studio")
    studio = tmp_path / "studio" / "local"
    user = tmp_path / "user"
    user.mkdir()
    (user / "signing.toml").write_text(
        f'chain = "{studio / "chain.pem"}"\nkey = "../studio/local/key.pem"\n'
    )
    credentials = load_credentials(user)
    assert credentials.chain == (studio / "chain.pem").read_text()
    assert trust_anchors(user) == ()
    (user / "trusted").mkdir()
    (user / "trusted" / "studio.pem").write_text((studio / "root.pem").read_text())
    assert trust_anchors(user) == ((studio / "root.pem").read_text(),)
    assert local_anchors(user) == ()
    output = tmp_path / "o.png"
    one = Clip(**{**vars(camera_clip), "pts": camera_clip.pts[:1]})
    import torch

    with encode(output, one, statement(), credentials=credentials) as video:
        video.append(torch.zeros(1, 3, *one.size))
    assert read_manifest(output, trust_anchors(user)).trusted
    assert not read_manifest(output, trust_anchors()).trusted


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('chain = "a.pem"', "belong together"),
        ('chain = "a.pem"\nkey = "b.pem"', "cannot be read"),
        ("sign = false", "unknown setting 'sign'"),
        ("enabled = false", "unknown setting"),
    ],
)
def test_settings_that_cannot_work_are_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "signing.toml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_credentials(tmp_path)


def test_credentials_that_cannot_sign_stop_before_the_work(
    camera_clip: Clip, tmp_path: Path
) -> None:
    good, other = load_credentials(tmp_path / "a"), load_credentials(tmp_path / "b")
    rehearse(good)
    broken = module.Credentials(good.chain, "no key")
    with (
        pytest.raises(MediaError, match=r"cannot be signed.*signing\.toml"),
        encode(tmp_path / "o.mp4", camera_clip, statement(), credentials=broken),
    ):
        pytest.fail("the work was begun")
    swapped = module.Credentials(good.chain, other.key)
    with (
        pytest.raises(MediaError, match=r"signing\.toml"),
        encode(tmp_path / "o.mp4", camera_clip, statement(), credentials=swapped),
    ):
        pytest.fail("the work was begun")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b"]


def test_a_time_stamp_server_that_cannot_be_reached_is_named(tmp_path: Path) -> None:
    (tmp_path / "signing.toml").write_text('time_stamp = "http://127.0.0.1:9/tsa"\n')
    credentials = load_credentials(tmp_path)
    assert credentials.time_stamp == "http://127.0.0.1:9/tsa"
    with pytest.raises(MediaError, match=r"http://127\.0\.0\.1:9/tsa can be reached"):
        rehearse(credentials)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        load_credentials(tmp_path / "file" / "user")


def test_the_library_is_used_without_what_it_calls_deprecated(tmp_path: Path) -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        rehearse(load_credentials(tmp_path))
    assert [str(warning.message) for warning in told] == []
