"""The S3 bucket that packages lie in: CloudFormation and Lambda take them from there, by what is in them."""

import hashlib
import json
from pathlib import Path
from typing import Any

from boto3.session import Session
from botocore.exceptions import ClientError

Client = Any  # boto3's clients carry no types

_OURS = {"404", "NoSuchBucket", "NoSuchKey", "NotFound"}


class Shelf:
    """A bucket; the default one is made when it is not there: private, versioned, TLS only."""

    def __init__(self, s3: Client, *, account: str, region: str, bucket: str | None = None) -> None:
        self.bucket = bucket or f"keyturn-packages-{account}-{region}"
        self._s3 = s3
        self._account = account
        self._region = region
        self._partition = Session().get_partition_for_region(region)
        self._may_make = bucket is None

    def put(self, path: Path) -> str:
        """Lay a file on the shelf unless it lies there already, and give its key: its digest and its name."""
        body = path.read_bytes()
        key = f"keyturn/{hashlib.sha256(body).hexdigest()}/{path.name}"
        self._ready()
        try:
            self._s3.head_object(Bucket=self.bucket, Key=key, ExpectedBucketOwner=self._account)
        except ClientError as error:
            if error.response["Error"]["Code"] not in _OURS:
                raise
            self._s3.put_object(Bucket=self.bucket, Key=key, Body=body, ExpectedBucketOwner=self._account)
        return key

    def address(self, key: str) -> str:
        """The URL of something on the shelf, as CloudFormation takes it."""
        return f"{self._s3.meta.endpoint_url.rstrip('/')}/{self.bucket}/{key}"

    def _ready(self) -> None:
        """See that the bucket is there and ours: somebody else could have taken its name."""
        if not self._may_make:
            return
        try:
            self._s3.head_bucket(Bucket=self.bucket, ExpectedBucketOwner=self._account)
        except ClientError as error:
            if error.response["Error"]["Code"] not in _OURS:
                raise
            self._make()
        self._may_make = False

    def _make(self) -> None:
        elsewhere = {} if self._region == "us-east-1" else {"LocationConstraint": self._region}
        where = {"CreateBucketConfiguration": elsewhere} if elsewhere else {}
        self._s3.create_bucket(Bucket=self.bucket, **where)
        closed = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
        self._s3.put_public_access_block(Bucket=self.bucket, PublicAccessBlockConfiguration=dict.fromkeys(closed, True))
        self._s3.put_bucket_versioning(Bucket=self.bucket, VersioningConfiguration={"Status": "Enabled"})
        self._s3.put_bucket_policy(
            Bucket=self.bucket, Policy=json.dumps(_tls_only(f"arn:{self._partition}:s3:::{self.bucket}"))
        )


def _tls_only(arn: str) -> dict[str, Any]:
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "TlsOnly",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": [arn, f"{arn}/*"],
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            }
        ],
    }
